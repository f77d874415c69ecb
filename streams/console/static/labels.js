// Which names are shown at a zoom, so that none lies on another: the most important first.

// `marks`: words that stand in any case.
export function culled(labels, marks, letters, zoom) {
  const taken = marks.map(({ x, y, text }) => [x - text.length * letters * 0.3, y - letters, x + text.length * letters * 0.3, y + 3]);
  const shown = new Set(), legible = zoom >= 0.5;
  for (const label of [...labels].sort((one, other) => one.rank - other.rank)) {
    if (!legible && label.rank > 3) continue;
    const half = Math.max(label.text.length, label.second.length) * letters * 0.3 + 2;
    const box = [label.x - half, label.y + 16, label.x + half, label.y + 18 + letters * (label.second ? 2.3 : 1.2)];
    if (taken.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3])) continue;
    taken.push(box);
    shown.add(label.id);
  }
  return shown;
}
