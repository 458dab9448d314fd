// Shapes of the daemon and of the console's server, as far as the page reads them.

export type Role = 'observe' | 'operate' | 'administer';
export type StateName = 'idle' | 'warming' | 'referencing' | 'ready' | 'scanning' | 'draining' | 'faulted';
export type MissingKind = 'recovery' | 'fault' | 'device' | 'disk' | 'progress';

export interface Lease {
  holder: string | null;
  since: string | null;
  mine: boolean;
}

export interface Session {
  user: string;
  role: Role;
  token: string;
  expires: string;
  rig: string;
  version: string;
  lease: Lease;
}

export interface Fault {
  path: string;
  problem: string;
}

export interface ProblemBody {
  status: number;
  title: string;
  detail?: string;
  faults?: Fault[];
  retry_after_s?: number;
}

export interface LineCounts {
  received: number;
  lost: number;
  expected: number;
  lost_pool: number;
  lost_link: number;
  unusable: number;
  unrecorded?: number;
  pool_least_free?: number | null;
  gaps: [number, number][];
}

export interface ReferenceStatus {
  camera: string;
  kind: 'dark' | 'white';
  taken: string;
  age_s: number;
  frames: number;
  mean_counts: number;
  noise_counts: number;
  saturated: number;
  flicker?: number;
  evenness?: number;
  dirt?: number;
  least_signal_counts?: number;
  bad_elements?: { mended: number; missing: number };
  wavelength?: { shift_nm: number; shift_uncertainty_nm: number };
  temperature_c?: number;
}

export interface CameraStatus {
  device: 'camera';
  name: string;
  model: string;
  serial: string;
  connected: boolean;
  shape: [number, number];
  exposure: { exposure_us: number; frame_rate_hz: number } | null;
  temperature_c: number | null;
  pool: [number, number];
}

export interface ConveyorStatus {
  device: 'conveyor';
  model: string;
  connected: boolean;
  state: { moving: boolean; speed_mm_per_s: number; position_mm: number } | null;
}

export interface LightStatus {
  device: 'light';
  name: string;
  model: string;
  connected: boolean;
  state: { on: boolean; level: number } | null;
}

export type DeviceStatus = CameraStatus | ConveyorStatus | LightStatus;

export interface Progress {
  scan: string;
  position_mm: number;
  end_mm: number;
  cameras: Record<string, LineCounts>;
  samples: number;
  embeddings: number;
}

export interface Status {
  state: StateName;
  cause: string | null;
  rig: string;
  version: string;
  devices: DeviceStatus[];
  references: ReferenceStatus[];
  disk_free_bytes: number;
  queues: Record<string, [number, number]>;
  scan: Progress | null;
  pending?: Record<string, { reason: string; spectra: number }>;
  set_aside?: Record<string, string>;
}

export interface Readiness {
  ready: boolean;
  missing: { what: MissingKind; reason: string }[];
}

export interface Alarm {
  id: string | number;
  time: string;
  message: string;
  severity: 'alarm' | 'warning';
  acknowledged_by: string | null;
  acknowledged_at: string | null;
}

export interface RigAnswer {
  connected: boolean;
  since: string | null;
  status: Status | null;
  readiness: Readiness | null;
  lease: Lease;
  alarms: Alarm[];
}

export interface RigEvent {
  id: number;
  time: string;
  event: string;
  [key: string]: unknown;
}

export interface SourceInfo {
  name: string;
  kind: 'camera' | 'grid';
  pixels: number;
  detector_pixels?: number;
  wavelengths_nm: number[];
  full_scale_counts?: number;
  left_mm: number;
  pixel_mm: number;
  rgb: [number, number, number];
}

export interface PlacedContainer {
  at: string;
  sample: string;
  x_mm: number;
  y_mm: number;
  width_mm: number;
  length_mm: number;
  round: boolean;
}

export interface LiveScan {
  scan: string;
  tray: string;
  started: string;
  ended: string | null;
  end_mm: number;
  grid: { pixel_mm: number; x0_mm: number; width: number; wavelengths_nm: number[] };
  sources: SourceInfo[];
  containers: PlacedContainer[];
  /** Names of minerals. The code of the first is 1. */
  minerals?: string[];
}

export interface LiveSample {
  number: number;
  sample: string;
  container: string;
  first_row: number;
  first_pixel: number;
  width: number;
  closed: boolean;
  doubts: string[];
}

export interface CameraReference {
  name: string;
  first_band: number;
  bands: number;
  white: (number | null)[] | null;
  dark: (number | null)[] | null;
}

export interface Spectrum {
  scan: string;
  sample: string;
  line: number;
  pixel: number;
  x_mm: number;
  y_mm: number;
  wavelengths_nm: number[];
  reflectance: (number | null)[];
  u: (number | null)[] | null;
  quality: string[];
  cameras: CameraReference[];
}

/** The counts of a pixel of a camera, and its references there. */
export interface CameraCounts {
  name: string;
  frame: number;
  pixel: number;
  fault: string | null;
  wavelengths_nm: number[] | null;
  counts: number[];
  dark: number[] | null;
  white: number[] | null;
}

export interface TrayContainer {
  at?: string;
  sample: string;
  x_mm?: number;
  y_mm?: number;
  width_mm?: number;
  length_mm?: number;
  diameter_mm?: number;
  height_mm?: number;
  vars?: Record<string, number>;
  [key: string]: unknown;
}

export interface TrayMap {
  tray: string;
  keys: string[];
  grid?: { rows: number; columns: number };
  container: TrayContainer[];
}

export interface HealthAnswer {
  t: number[];
  series: { name: string; label: string; unit: string; values: (number | null)[] }[];
}

export interface Job {
  id: string;
  kind: 'verify' | 'process' | 'export' | 'tsne';
  scan: string | null;
  scans?: string[];
  state: 'waiting' | 'running' | 'done' | 'failed' | 'cancelled';
  progress: number | null;
  message: string | null;
  started: string | null;
  ended: string | null;
  by: string;
}
