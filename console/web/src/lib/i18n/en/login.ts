export const login = {
  title: 'Log in',
  user: 'Name',
  password: 'Password',
  submit: 'Log in',
  wrong: 'Name or password is wrong.',
  tooMany: 'Too many tries. Try again in {time}.',
  expired: 'Your session has ended. Log in again.',
  link: 'Opening your link',
  linkWrong: 'This link is used or too old.',
  linkHint: 'Ask for a new one, or log in with your name.',
  silent: 'The console does not answer. It is tried again.',
  hint: 'No account? Ask whoever keeps this rig.',
};
