import type { login as english } from '../en/login';
import type { Words } from '../words';

export const login: Words<typeof english> = {
  title: 'Entrar',
  user: 'Nombre',
  password: 'Contraseña',
  submit: 'Entrar',
  wrong: 'El nombre o la contraseña no es correcto.',
  tooMany: 'Demasiados intentos. Intente de nuevo en {time}.',
  expired: 'Su sesión terminó. Entre de nuevo.',
  link: 'Abriendo su enlace',
  linkWrong: 'Este enlace ya se usó o venció.',
  linkHint: 'Pida uno nuevo, o entre con su nombre.',
  silent: 'La consola no responde. Se intenta de nuevo.',
  hint: '¿Sin cuenta? Pregunte a quien lleva este equipo.',
};
