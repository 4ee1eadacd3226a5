/** What each step of the first run is given. */
import type { DraftPart } from '../../../setup/draft.ts';
import type { SetupState } from '../../../setup/rows.ts';

export type Draft = NonNullable<SetupState['draft']>;
export type DraftLine = Draft['lines'][number];
export interface StepProps {
  readonly draft: Draft;
  readonly state: SetupState;
  /** Of what is entered by then: who was asked meanwhile may answer minutes later. */
  readonly enter: (part: (now: Draft) => DraftPart) => void;
  readonly changed: (state: SetupState) => void;
  readonly forget: () => void;
  readonly next: () => void;
}
/** What each screen is given while no configuration is in force. */
export interface SetupScreen {
  readonly state: SetupState;
  readonly changed: (state: SetupState) => void;
  readonly mayAct: boolean;
}
const freshLine: DraftLine = {
  name: 'bus-1',
  device: '',
  baud: 9600,
  link: 'hdlc',
  direction: 'auto',
  entries: [],
  places: [],
  entry: { client: 17, auth: 'lls', shared: true },
  periodS: 3600,
};
/** The page sets up one line; further ones are written into the file. */
export const lineOf = ({ lines }: Draft): DraftLine => lines[0] ?? freshLine;
export const lineWith =
  (part: Partial<DraftLine>) =>
  (now: Draft): DraftPart => ({ lines: [{ ...lineOf(now), ...part }] });
