let context: AudioContext | null = null;

function tone(frequency: number, from: number, length: number, shape: OscillatorType): void {
  if (!context) return;
  const start = context.currentTime + from;
  const oscillator = context.createOscillator();
  const gain = context.createGain();
  oscillator.type = shape;
  oscillator.frequency.value = frequency;
  gain.gain.setValueAtTime(0.15, start);
  gain.gain.exponentialRampToValueAtTime(0.001, start + length);
  oscillator.connect(gain).connect(context.destination);
  oscillator.start(start);
  oscillator.stop(start + length);
}

/** One high tone for a code that was taken, two low ones for one that was refused. */
export function sound(taken: boolean): void {
  try {
    context ??= new AudioContext();
    void context.resume();
    if (taken) {
      tone(880, 0, 0.12, 'sine');
    } else {
      tone(196, 0, 0.22, 'square');
      tone(147, 0.26, 0.35, 'square');
    }
  } catch {
    // A browser without sound shows the words alone.
  }
}
