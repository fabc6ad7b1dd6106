/** Asks a process of a benchmark's own by message. */
import type { ChildProcess } from 'node:child_process';

/** Sends the message and waits for the answer. @throws Error where the child ends instead */
export const askChild = <Answer>(child: ChildProcess, message: object): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const ended = (code: number | null): void => reject(new Error(`${child.spawnargs.at(-1)} ended with ${code}`));
    child.once('exit', ended);
    child.once('message', (answer) => {
      child.off('exit', ended);
      resolve(answer as Answer);
    });
    child.send(message);
  });
