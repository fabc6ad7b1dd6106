/** Pieces of SVG text. */

export const FONT = 'Helvetica, Arial, Liberation Sans, sans-serif';
export const INK = '#24292e';
export const FAINT = '#6b7280';

export const escape = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

interface TextLook {
  readonly size?: number;
  readonly fill?: string;
  readonly weight?: number;
  readonly anchor?: 'start' | 'middle' | 'end';
}

export const text = (
  x: number,
  y: number,
  content: string,
  { size = 12, fill = INK, weight = 400, anchor = 'start' }: TextLook = {},
): string =>
  `<text x="${x}" y="${y}" font-size="${size}" fill="${fill}" font-weight="${weight}" text-anchor="${anchor}">${escape(content)}</text>`;

/** No font is at hand to measure with: by the width of an average letter. */
export const fit = (content: string, width: number, size = 12): string => {
  const letters = Math.floor(width / (size * 0.56));
  return content.length <= letters ? content : `${content.slice(0, Math.max(1, letters - 1))}…`;
};

export const rectangle = (x: number, y: number, width: number, height: number, fill: string, more = ''): string =>
  `<rect x="${x}" y="${y}" width="${Math.max(0, width).toFixed(1)}" height="${height}" fill="${fill}"${more}/>`;
