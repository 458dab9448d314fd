import type { viewer as english } from '../en/viewer';
import type { Words } from '../words';

export const viewer: Words<typeof english> = {
  closer: 'Acercar',
  farther: 'Alejar',
  whole: 'Imagen completa',
  keys: 'Las flechas mueven. Más y menos acercan y alejan. Cero muestra la imagen completa.',
  keysPick: 'Las flechas mueven el cursor. Intro elige. Más y menos acercan y alejan. Cero muestra la imagen completa.',
};
