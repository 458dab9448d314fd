// A barcode scanner is a keyboard that types faster than any hand, and ends with Enter or Tab.

/** Half of the keys of a scanner follow faster than this, ms. No hand keeps that up. */
const FASTEST_HAND_MS = 50;
/** A code is over after so long without a key, ms. A busy computer may hold up single keys. */
const REST_MS = 250;
/** Shortest code. */
const LEAST = 3;

type Typed = HTMLInputElement | HTMLTextAreaElement;

function isTyped(element: Element | null): element is Typed {
  return element instanceof HTMLInputElement || element instanceof HTMLTextAreaElement;
}

/** Calls back with each scanned code, wherever the focus is. A field that took the keys gets back what it had. */
export function listen(found: (code: string) => void): () => void {
  let code = '';
  let last = 0;
  let steps: number[] = [];
  let field: Typed | null = null;
  let had = '';

  const forget = (): void => {
    code = '';
    steps = [];
    field = null;
  };
  const quick = (): boolean => {
    const sorted = [...steps].sort((a, b) => a - b);
    return (sorted[Math.floor(sorted.length / 2)] ?? Infinity) <= FASTEST_HAND_MS;
  };

  const key = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return forget();
    const step = event.timeStamp - last;
    last = event.timeStamp;
    if (step > REST_MS) forget();
    else steps.push(step);
    if (event.key === 'Enter' || event.key === 'Tab') {
      if (code.length >= LEAST && quick()) {
        event.preventDefault();
        event.stopImmediatePropagation();
        if (field) {
          field.value = had;
          field.dispatchEvent(new Event('input', { bubbles: true }));
        }
        const whole = code;
        forget();
        found(whole);
        return;
      }
      return forget();
    }
    if (event.key.length !== 1) {
      // A scanner presses Shift for capital letters.
      if (event.key !== 'Shift') forget();
      return;
    }
    if (code === '') {
      steps = [];
      const target = document.activeElement;
      field = isTyped(target) ? target : null;
      had = field?.value ?? '';
    }
    code += event.key;
    // A button would take the blank of a code for a press.
    if (event.key === ' ' && !field && code.length > 1 && quick()) event.preventDefault();
  };
  window.addEventListener('keydown', key, { capture: true });
  return () => window.removeEventListener('keydown', key, { capture: true });
}
