/** Where a listener speaks TLS: do certificate and key fit, and for how long? */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { PrometheusSettings } from '../../sinks/otel/reader-settings.ts';
import { type Check, fault, type Finding, messageOf, ok, readersOf, warning } from './finding.ts';

const DAY_MS = 86_400_000;
const SOON_DAYS = 14;

export const checkCertificates: Check = ({ pipeline }) => {
  const { tls } = pipeline.server ?? {};
  const findings: Finding[] = [];
  if (tls !== undefined) findings.push(look('ingest', () => ({ ...tls })));
  for (const { name, settings } of readersOf<PrometheusSettings>(pipeline, 'prometheus')) {
    const files = settings.tls;
    if (files !== undefined)
      findings.push(look(name, () => ({ cert: readFileSync(files.certFile), key: readFileSync(files.keyFile) })));
  }
  return findings;
};

interface Pair {
  readonly cert: string | Uint8Array;
  readonly key: string | Uint8Array;
  readonly passphrase?: string;
}

function look(listener: string, read: () => Pair): Finding {
  const check = `TLS ${listener}`;
  let certificate: X509Certificate;
  let fits: boolean;
  try {
    const { cert, key, passphrase } = read();
    certificate = new X509Certificate(Buffer.from(cert));
    const pem = { key: Buffer.from(key), ...(passphrase === undefined ? undefined : { passphrase }) };
    fits = certificate.checkPrivateKey(createPrivateKey(pem));
  } catch (error) {
    return fault(
      check,
      `certificate or key cannot be read: ${messageOf(error)}`,
      'give PEM files that the user of the gateway may read',
    );
  }
  const days = Math.floor((certificate.validToDate.getTime() - Date.now()) / DAY_MS);
  const until = `valid until ${certificate.validToDate.toISOString()}`;
  if (!fits) return fault(check, 'the key is not that of the certificate', 'give the two that belong together');
  if (days < 0) return fault(check, until, 'renew it and restart: no client accepts it any longer');
  if (days < SOON_DAYS) return warning(check, until, 'renew it and restart; a running gateway keeps the old one');
  return ok(check, until);
}
