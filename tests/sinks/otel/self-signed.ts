/** A certificate for localhost that is its own authority, made by openssl. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

export function selfSigned(directory: string): { readonly certFile: string; readonly keyFile: string } {
  const keyFile = join(directory, 'key.pem');
  const certFile = join(directory, 'cert.pem');
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  execFileSync('openssl', ['req', '-x509', ...curve, '-keyout', keyFile, '-out', certFile, '-days', '1', ...name], {
    stdio: 'ignore',
  });
  return { certFile, keyFile };
}
