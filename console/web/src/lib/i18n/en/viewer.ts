export const viewer = {
  closer: 'Zoom in',
  farther: 'Zoom out',
  whole: 'Whole picture',
  keys: 'Arrow keys move. Plus and minus zoom. Zero shows the whole picture.',
  keysPick: 'Arrow keys move the cursor. Enter chooses. Plus and minus zoom. Zero shows the whole picture.',
};
