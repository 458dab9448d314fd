import type { LightStatus, Readiness, Status } from '../lib/types';

/** What mends the rig, as one button. `wait`: it mends itself. `health`: a person must look there. */
export type Remedy = 'acknowledge' | 'health' | 'wait' | 'dark' | 'white' | 'lamps' | null;

export function mend(status: Status | null, readiness: Readiness | null): Remedy {
  if (!status) return null;
  const missing = readiness?.missing ?? [];
  if (status.state === 'faulted' || missing.some((one) => one.what === 'fault')) return 'acknowledge';
  if (missing.some((one) => one.what === 'recovery')) return 'wait';
  if (missing.length > 0) return 'health';
  if (status.state !== 'idle' && status.state !== 'ready') return 'wait';
  const cameras = status.devices.filter((device) => device.device === 'camera').map((device) => device.name);
  const has = (kind: 'dark' | 'white'): boolean => cameras.every((name) => status.references.some((one) => one.camera === name && one.kind === kind));
  if (!has('dark')) return 'dark';
  if (!has('white')) return 'white';
  const lights = status.devices.filter((device): device is LightStatus => device.device === 'light');
  return lights.some((light) => light.connected && !light.state?.on) ? 'lamps' : null;
}
