import { rig } from '../rig.svelte';
import { LiveSocket } from './socket';

/** The live connection of this tab: `live.on('picture', row => ...)`, `live.bands(...)`, `live.send(...)`. */
export const live = new LiveSocket((open) => rig.socketChanged(open));

live.on('status', (status) => rig.takeStatus(status));
live.on('lease', (lease) => (rig.lease = lease));
live.on('link', (link) => rig.takeLink(link));
live.on('alarms', (alarms) => (rig.alarms = alarms));
live.on('scan', (scan) => rig.takeScan(scan));
live.on('sample', (sample) => rig.takeSample(sample));
live.on('dropped', (dropped) => (rig.dropped = dropped.messages));
live.on('event', (event) => rig.takeEvent(event));
live.on('refused', (problem) => (rig.refused = problem));
