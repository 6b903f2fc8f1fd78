// The layout of up to ten pictures of one hai, as in hai/web/views/albums.py, which
// explains it. Both are tested with tests/js/albums.json.

const WIDTH_PX = 608;
const GAP_PX = 4;
const COLUMNS = 48;
const GOOD_PX = 230;
const LOWEST_PX = 96;
const HIGHEST_PX = 420;
const ALBUM_PX = 520;
const MOST_IN_ROW = 4;
const TALL = 0.55;
const WIDE = 3;
const WIDEST = 6;
const CUT_WEIGHT = 2;
const TALL_ALONE = 0.45;
const LEAST_PX = 72;
const PORTRAIT = 0.9;
const LANDSCAPE = 1.1;

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const round = (value) => Math.floor(value + 0.5);
const sum = (numbers) => numbers.reduce((one, other) => one + other, 0);

/** A tile {span, rows, width, height} for each picture {width, height}. */
export function album(pictures) {
  if (pictures.length === 1) return [alone(pictures[0])];
  const shapes = pictures.map(({ width, height }) => (width || 1) / (height || 1));
  return beside(shapes) ?? inRows(shapes);
}

function alone({ width, height }) {
  const [wide, high] = [width || 1, height || 1];
  const shown = Math.min(high, wide / TALL_ALONE);
  const scale = Math.min(1, WIDTH_PX / wide, HIGHEST_PX / shown);
  const box = [wide, shown].map((side) => Math.max(LEAST_PX, round(side * scale)));
  return { span: 0, rows: 1, width: box[0], height: box[1] };
}

function beside(shapes) {
  const [portrait, ...landscapes] = shapes;
  if (shapes.length !== 3 || portrait > PORTRAIT) return undefined;
  if (Math.min(...landscapes) < LANDSCAPE) return undefined;
  const [first, ...others] = shapes.map((shape) => clamp(shape, TALL, WIDE));
  const perPx = sum(others.map((shape) => 1 / shape));
  const width = ((WIDTH_PX - GAP_PX) / first - GAP_PX) / (perPx + 1 / first);
  const height = Math.min(HIGHEST_PX, (WIDTH_PX - GAP_PX - width) / first);
  const span = round(((WIDTH_PX - width) / (WIDTH_PX + GAP_PX)) * COLUMNS);
  const lows = others.map((shape) => (height - GAP_PX) / shape / perPx);
  return [tile(span, height, 2), ...lows.map((low) => tile(COLUMNS - span, low))];
}

function inRows(shapes) {
  const judge = judgeOf(shapes);
  let best = [];
  let least = Infinity;
  for (const way of waysOf(shapes.length)) {
    const cost = costOf(way, judge);
    if (cost < least) [best, least] = [way, cost];
  }
  let start = 0;
  return best.flatMap((count) => {
    start += count;
    return tilesOf(shown(shapes.slice(start - count, start)));
  });
}

const ways = new Map(); // count -> all ways to break so many into rows

function waysOf(count) {
  if (!count) return [[]];
  if (!ways.has(count)) {
    const firsts = [1, 2, 3, 4].slice(0, Math.min(MOST_IN_ROW, count));
    const found = firsts.flatMap((first) => waysOf(count - first).map((rest) => [first, ...rest]));
    ways.set(count, found);
  }
  return ways.get(count);
}

/** judge(start, count): how bad that row is, and its height; memoized. */
function judgeOf(shapes) {
  const judged = new Map();
  return (start, count) => {
    const key = start * 10 + count;
    if (!judged.has(key)) judged.set(key, judgeRow(shown(shapes.slice(start, start + count))));
    return judged.get(key);
  };
}

function shown(shapes) {
  const widest = shapes.length === 1 ? WIDEST : WIDE;
  return shapes.map((shape) => clamp(shape, TALL, widest));
}

const naturalPx = (row) => (WIDTH_PX - GAP_PX * (row.length - 1)) / sum(row);

function judgeRow(row) {
  const natural = naturalPx(row);
  const height = clamp(natural, LOWEST_PX, HIGHEST_PX);
  return { cost: off(height, GOOD_PX) + CUT_WEIGHT * off(natural, height), height };
}

function costOf(way, judge) {
  let cost = 0;
  let total = GAP_PX * (way.length - 1);
  let start = 0;
  for (const count of way) {
    const row = judge(start, count);
    cost += row.cost;
    total += row.height;
    start += count;
  }
  return cost / way.length + Math.max(0, total - ALBUM_PX) / ALBUM_PX;
}

const off = (one, other) => Math.max(one / other, other / one) - 1;

function tilesOf(row) {
  const natural = naturalPx(row);
  const height = clamp(natural, LOWEST_PX, HIGHEST_PX);
  let edge = 0;
  let reached = 0;
  return row.map((shape) => {
    reached += ((shape * natural + GAP_PX) / (WIDTH_PX + GAP_PX)) * COLUMNS;
    const span = round(reached) - edge;
    edge += span;
    return tile(span, height);
  });
}

function tile(span, height, rows = 1) {
  const width = ((WIDTH_PX + GAP_PX) * span) / COLUMNS - GAP_PX;
  return { span, rows, width: round(width), height: round(height) };
}
