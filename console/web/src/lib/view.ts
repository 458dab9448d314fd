// Where a picture lies in its frame: its corner and its scale, in px of the frame.

export interface View {
  x: number;
  y: number;
  k: number;
}

export interface Size {
  width: number;
  height: number;
}

/** The whole picture in the middle of the frame. */
export function fit(picture: Size, frame: Size): View {
  const k = Math.min(frame.width / picture.width, frame.height / picture.height) || 1;
  return { k, x: (frame.width - k * picture.width) / 2, y: (frame.height - k * picture.height) / 2 };
}

/** Scaled about a point of the frame, between the whole picture and 64 px for one. */
export function zoom(view: View, factor: number, at: { x: number; y: number }, picture: Size, frame: Size): View {
  const least = fit(picture, frame).k;
  const k = Math.min(Math.max(view.k * factor, least), Math.max(64, least));
  const f = k / view.k;
  return clamp({ k, x: at.x - (at.x - view.x) * f, y: at.y - (at.y - view.y) * f }, picture, frame);
}

/** Moved so that no empty frame is seen where the picture could fill it. */
export function clamp(view: View, picture: Size, frame: Size): View {
  const hold = (at: number, length: number, room: number): number => (length <= room ? (room - length) / 2 : Math.min(0, Math.max(room - length, at)));
  return { k: view.k, x: hold(view.x, view.k * picture.width, frame.width), y: hold(view.y, view.k * picture.height, frame.height) };
}

/** The least change that brings a point of the picture into the frame. */
export function reveal(view: View, at: { x: number; y: number }, picture: Size, frame: Size): View {
  const margin = 24;
  const [x, y] = [view.x + at.x * view.k, view.y + at.y * view.k];
  const dx = x < margin ? margin - x : x > frame.width - margin ? frame.width - margin - x : 0;
  const dy = y < margin ? margin - y : y > frame.height - margin ? frame.height - margin - y : 0;
  return clamp({ k: view.k, x: view.x + dx, y: view.y + dy }, picture, frame);
}
