import { common } from './common';
import { explorer } from './explorer';
import { health } from './health';
import { login } from './login';
import { rig } from './rig';
import { sample } from './sample';
import { scan } from './scan';
import { scans } from './scans';
import { tray } from './tray';
import { viewer } from './viewer';

export const en = { common, explorer, health, login, rig, sample, scan, scans, tray, viewer };
