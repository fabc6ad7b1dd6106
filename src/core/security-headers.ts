/** On every answer of both listeners; documents add a content security policy of their own. */
export const SECURITY_HEADERS: readonly (readonly [string, string])[] = [
  ['X-Content-Type-Options', 'nosniff'],
  ['Cache-Control', 'no-store'],
  ['Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'"],
  ['Referrer-Policy', 'no-referrer'],
];
/** Where TLS is spoken: RFC 6797; half a year. */
export const STRICT_TRANSPORT = ['Strict-Transport-Security', 'max-age=15768000'] as const;
