import type { StateName } from './types';

export type Mood = 'calm' | 'good' | 'moving' | 'alarm' | 'doubt';

/** How a state looks: a shape and a colour go with its word. */
export function mood(state: StateName | 'unknown'): Mood {
  switch (state) {
    case 'ready':
      return 'good';
    case 'scanning':
    case 'warming':
    case 'referencing':
    case 'draining':
      return 'moving';
    case 'faulted':
      return 'alarm';
    case 'unknown':
      return 'doubt';
    default:
      return 'calm';
  }
}
