// Brightness as colour: night, violet, coral, straw. Equal steps look equally far apart.
const STOPS = [[13, 11, 36], [64, 26, 110], [142, 41, 128], [222, 76, 104], [253, 158, 108], [252, 250, 196]];

const colours = (channels) =>
  new Uint32Array(new Uint8ClampedArray(Array.from({ length: 256 }, (_, value) => [...channels(value), 255]).flat()).buffer);

/** 256 colours, each the four bytes of a pixel: red, green, blue, opacity. */
export const RAMP = colours((value) => {
  const place = (value / 255) * (STOPS.length - 1);
  const step = Math.min(Math.floor(place), STOPS.length - 2);
  return STOPS[step].map((from, i) => from + (STOPS[step + 1][i] - from) * (place - step));
});

/** The same from black to white. */
export const GRAYS = colours((value) => [value, value, value]);

/** A colour of the style sheet, as it is now: light or dark. */
export const themed = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Call back when the visitor changes between light and dark. */
export const onThemeChange = (callback) =>
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", callback);
