// Which names are shown at a zoom, so that none lies on another: the most important first.

export function culled(labels, letters, zoom) {
  const taken = [], shown = new Set(), legible = zoom >= 0.5;
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
