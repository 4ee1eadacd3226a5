/** Fourth step: what the display of each meter shows beside the register, photos and notes. */
import { useRef, useState } from 'preact/hooks';
import type { Attachment, DisplayReading, MeterRecord } from '../../../commission/meter-record.ts';
import type { SiteAnswer } from '../answers.ts';
import { base64Of, troubleFrom, type Trouble } from '../api.ts';
import { send } from '../in-order.ts';
import { t } from '../language.ts';
import { useAsked } from '../live.ts';
import { Answered, Shape, TroubleBox } from '../parts.tsx';
import { quantity } from '../words.ts';
import type { JobStore } from './job.ts';

function Display({
  record,
  obis,
  done,
}: {
  readonly record: MeterRecord;
  readonly obis: string;
  readonly done: () => void;
}) {
  const [shown, setShown] = useState('');
  const [asking, setAsking] = useState(false);
  const [trouble, setTrouble] = useState<Trouble>();
  const register = record.steps.registers?.registers.find((one) => one.obis === obis);
  const last = record.displays.findLast((one) => one.obis === obis);
  const compare = (event: Event) => {
    event.preventDefault();
    setAsking(true);
    setTrouble(undefined);
    send<DisplayReading>('/v1/site/display', { meter: record.meter, obis, shown })
      .then(
        () => {
          setShown((now) => (now === shown ? '' : now));
          done();
        },
        (error: unknown) => setTrouble(troubleFrom(error)),
      )
      .finally(() => setAsking(false));
  };
  return (
    <form onSubmit={compare}>
      <label>
        {t('displayAsk', obis)}
        <input
          type="text"
          inputMode="decimal"
          required
          pattern="[\d\s'_]+([.,]\d+)?"
          value={shown}
          onInput={({ currentTarget }) => setShown(currentTarget.value)}
        />
      </label>
      <p class="small">
        {t('registerValue')}: {register ? quantity(String(register.raw), register.scaler, register.unit) : '–'}
      </p>
      {last && (
        <p role="status">
          <Shape of={last.agrees ? 'good' : 'bad'} /> <span lang="en">{last.words}</span>
        </p>
      )}
      {trouble && <TroubleBox trouble={trouble} />}
      <button type="submit" class="big" disabled={asking || shown === ''}>
        {t('compare')}
      </button>
    </form>
  );
}

/** What a door takes in one request. Telephones make photos of several megabytes: they are drawn smaller. */
const maxPhotoOctets = 1_400_000;
async function smaller(file: File): Promise<Uint8Array> {
  if (file.size <= maxPhotoOctets) return new Uint8Array(await file.arrayBuffer());
  const image = await createImageBitmap(file);
  const factor = Math.min(1, 1600 / Math.max(image.width, image.height));
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [Math.round(image.width * factor), Math.round(image.height * factor)];
  canvas.getContext('2d')?.drawImage(image, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/jpeg', 0.8));
  return new Uint8Array(await (blob ?? file).arrayBuffer());
}

/** A sentence of whoever stands there. */
export const NoteField = ({
  label,
  note,
  change,
}: {
  readonly label: string;
  readonly note: string;
  readonly change: (note: string) => void;
}) => (
  <label>
    {label}
    <input type="text" maxLength={2000} value={note} onInput={({ currentTarget }) => change(currentTarget.value)} />
  </label>
);

function Attach({ record, done }: { readonly record: MeterRecord; readonly done: () => void }) {
  const [note, setNote] = useState('');
  const [file, setFile] = useState<File>();
  const [asking, setAsking] = useState(false);
  const [trouble, setTrouble] = useState<Trouble>();
  const files = useRef<HTMLInputElement>(null);
  const takeBack = () => {
    if (files.current) files.current.value = '';
    setFile(undefined);
  };
  const attach = async (event: Event) => {
    event.preventDefault();
    setAsking(true);
    setTrouble(undefined);
    try {
      const photo = file && { name: file.name, octets: base64Of(await smaller(file)) };
      await send<Attachment>(
        '/v1/site/attach',
        { meter: record.meter, ...(note !== '' && { note }), ...photo },
        60_000,
      );
      setNote((now) => (now === note ? '' : now));
      if (files.current?.files?.[0] === file) takeBack();
      done();
    } catch (error) {
      setTrouble(troubleFrom(error));
    } finally {
      setAsking(false);
    }
  };
  return (
    <form onSubmit={(event) => void attach(event)}>
      <label>
        {t('photo')}
        <input
          ref={files}
          type="file"
          accept="image/*"
          capture="environment"
          onChange={({ currentTarget }) => setFile(currentTarget.files?.[0])}
        />
      </label>
      <NoteField label={t('note')} note={note} change={setNote} />
      {record.attachments.length > 0 && <p role="status">{t('attached', record.attachments.length)}</p>}
      {trouble && <TroubleBox trouble={trouble} />}
      <button type="submit" class="big" disabled={asking || (note === '' && !file)}>
        {t('attach')}
      </button>
    </form>
  );
}

function Check({ record, done }: { readonly record: MeterRecord; readonly done: () => void }) {
  const [open, setOpen] = useState(false);
  const registers = record.steps.registers?.registers ?? [];
  const compared = record.displays.length;
  return (
    <details class="meter-check" open={open} onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>
        <Shape of={compared === 0 ? 'unknown' : record.displays.every(({ agrees }) => agrees) ? 'good' : 'bad'} />
        <span>
          <b>{record.serial}</b> {record.place} {compared === 0 && `· ${t('displayNone')}`}
        </span>
      </summary>
      {open && (
        <>
          {registers.map(({ obis }) => (
            <Display key={obis} record={record} obis={obis} done={done} />
          ))}
          <Attach record={record} done={done} />
        </>
      )}
    </details>
  );
}

export function CheckStep({ store, next }: { readonly store: JobStore; readonly next: () => void }) {
  const site = useAsked<SiteAnswer>('/v1/site');
  // As the list leads from box to box; who is on no list comes last.
  const places = new Map(store.job.entries.map(({ serial }, i) => [serial, i]));
  const placeOf = ({ serial }: MeterRecord): number => places.get(serial) ?? places.size;
  return (
    <>
      <p>{t('checkWhy')}</p>
      <Answered asked={site}>
        {({ records }) =>
          records.length === 0 ? (
            <p>{t('noRecords')}</p>
          ) : (
            <div class="checks">
              {records
                .toSorted((a, b) => placeOf(a) - placeOf(b))
                .map((record) => (
                  <Check key={record.meter} record={record} done={site.again} />
                ))}
            </div>
          )
        }
      </Answered>
      <button type="button" class="big primary" onClick={next}>
        {t('onWith')}
      </button>
    </>
  );
}
