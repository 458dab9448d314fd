// Tray maps: the check, worklists and presets.

const NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$/;
const RULE = "must be 1 to 64 of A-Z a-z 0-9 . _ - and not begin with a dot";
const PLACES = Array.from({ length: 12 }, (_, i) => `${"ABCD"[Math.floor(i / 3)]}${(i % 3) + 1}`);

export const EXAMPLE = {
  tray: "T-2026-11-A", keys: ["plant", "month", "size"], grid: { rows: 4, columns: 3 },
  container: PLACES.map((at, i) => ({
    at, sample: `N-2026-11-${i + 1}`, plant: i < 6 ? "north" : "south", month: "2026-11", size: ["M100", "M140", "M200"][i % 3],
    x_mm: 20 + (i % 3) * 80, y_mm: 20 + Math.floor(i / 3) * 80, ...(i % 3 === 1 ? { diameter_mm: 60 } : { width_mm: 60, length_mm: 60 }), vars: { cu_percent: 0.8 },
  })),
};

/** Faults of a map, each at its place. */
export function check(tray) {
  const faults = [];
  const say = (path, problem) => faults.push({ path, problem });
  if (!tray || typeof tray !== "object") return [{ path: "", problem: "is no tray map" }];
  if (!NAME.test(tray.tray ?? "")) say("tray", RULE);
  if (!Array.isArray(tray.container) || !tray.container.length) say("container", "must list at least one container");
  const seen = { at: new Map(), sample: new Map() };
  for (const [i, c] of (tray.container ?? []).entries()) {
    if (!NAME.test(c.sample ?? "")) say(`container[${i}].sample`, c.sample ? RULE : "is missing");
    if (tray.grid && !/^[A-Z][1-9][0-9]?$/.test(c.at ?? "")) say(`container[${i}].at`, "is no place of this grid");
    for (const key of tray.keys ?? []) if (!c[key]) say(`container[${i}].${key}`, "is missing; each container gives every key");
    for (const of of ["at", "sample"]) {
      if (seen[of].has(c[of])) say(`container[${i}].${of}`, `is given twice, also in container[${seen[of].get(c[of])}]`);
      else if (c[of]) seen[of].set(c[of], i);
    }
    for (const [name, v] of Object.entries(c.vars ?? {})) if (typeof v !== "number") say(`container[${i}].vars.${name}`, "must be a number");
  }
  return faults;
}

/** Trays of a worklist. */
export function worklist({ csv, rows, tray }) {
  const list = rows ?? table(csv ?? "");
  const places = (tray ?? EXAMPLE).container;
  const names = new Map();
  for (const row of list) names.set(row.tray ?? "T-1", [...(names.get(row.tray ?? "T-1") ?? []), row]);
  return {
    trays: [...names].map(([name, of]) => {
      const keys = Object.keys(of[0]).filter((k) => !["tray", "at", "sample"].includes(k) && Number.isNaN(+of[0][k]));
      const container = of.map((row, i) => {
        const { tray: _, ...rest } = row;
        const place = places.find((p) => p.at === row.at) ?? places[i] ?? {};
        const { at, x_mm, y_mm, width_mm, length_mm, diameter_mm, height_mm } = place;
        return { at, x_mm, y_mm, width_mm, length_mm, diameter_mm, height_mm, ...rest };
      });
      const map = JSON.parse(JSON.stringify({ tray: name, keys, grid: (tray ?? EXAMPLE).grid, container }));
      return { tray: map, faults: check(map) };
    }),
  };
}

function table(text) {
  const [head, ...lines] = text.split(/\r?\n/).filter((line) => line.trim());
  const names = (head ?? "").split(/[,;\t]/).map((s) => s.trim());
  return lines.map((line) => Object.fromEntries(line.split(/[,;\t]/).map((v, i) => [names[i], v.trim()])));
}
