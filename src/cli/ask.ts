/**
 * Questions to the person at a terminal. A script is never asked: where input or output is no terminal, or `--yes` or
 * `--json` is given, commands do as they were told, and what is missing is an error.
 */
import { confirm, isCancel, multiselect, text } from '@clack/prompts';
import { CommandFailed } from './connection.ts';
import { EXIT } from './exit-codes.ts';

export interface AskOptions {
  readonly yes?: boolean;
  readonly json?: boolean;
}

export const isAttended = ({ yes, json }: AskOptions): boolean =>
  process.stdin.isTTY === true && process.stdout.isTTY === true && yes !== true && json !== true;

/** @throws CommandFailed where a person says no, or leaves with Ctrl-C */
export async function confirmed(options: AskOptions, question: () => string | Promise<string>): Promise<void> {
  if (!isAttended(options)) return;
  if (answered(await confirm({ message: await question(), initialValue: false }))) return;
  throw new CommandFailed('nothing was changed', EXIT.cancelled);
}

/** One line of text that fits. @throws CommandFailed where a person leaves with Ctrl-C */
export const askText = async (
  message: string,
  { pattern, expected }: { readonly pattern: RegExp; readonly expected: string },
): Promise<string> =>
  answered(
    await text({ message, validate: (given = '') => (pattern.test(given) ? undefined : `expected ${expected}`) }),
  );

/** At least one of the choices. @throws CommandFailed where a person leaves with Ctrl-C */
export const askChoices = async <Choice extends string>(
  message: string,
  choices: Readonly<Record<Choice, string>>,
  initial: readonly Choice[],
): Promise<readonly Choice[]> =>
  answered(
    await multiselect<string>({
      message,
      options: Object.entries<string>(choices).map(([value, hint]) => ({ value, label: value, hint })),
      initialValues: [...initial],
      required: true,
    }),
  ) as Choice[];

function answered<Answer>(answer: Answer): Exclude<Answer, symbol> {
  if (isCancel(answer)) throw new CommandFailed('nothing was changed', EXIT.cancelled);
  return answer as Exclude<Answer, symbol>;
}
