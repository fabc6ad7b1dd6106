/** Whether a body claims to be JSON. */
import type { RequestHeaders } from '../../core/phases.ts';
import { Refusal } from '../../core/refusal.ts';

const JSON_TYPE = /^application\/(?:[a-z0-9.!#$&^_-]+\+)?json$/;
const UTF8 = /^"?(?:utf-?8|us-ascii)"?$/;

/** No content type at all is taken as JSON, as deployed emitters expect. @throws Refusal `unsupported_media` */
export function requireJson(headers: RequestHeaders): void {
  const header = headers.get('content-type');
  if (header === undefined || header === 'application/json') return;
  const [type = '', ...parameters] = header.toLowerCase().split(';');
  if (!JSON_TYPE.test(type.trim())) {
    throw new Refusal('unsupported_media', 'Content-Type must be application/json.', {
      headers: { Accept: 'application/json' },
    });
  }
  for (const parameter of parameters) {
    const [name = '', value = ''] = parameter.split('=');
    if (name.trim() === 'charset' && !UTF8.test(value.trim())) {
      throw new Refusal('unsupported_media', 'The charset of Content-Type must be utf-8: JSON has no other.');
    }
  }
}
