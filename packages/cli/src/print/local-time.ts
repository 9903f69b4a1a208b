/** Local time of a timestamp; invalid text stays as is. `--json` keeps UTC. */
export function localTime(at: string | number): string {
  const time = new Date(at);
  if (Number.isNaN(time.getTime())) return String(at);
  const two = (n: number) => String(n).padStart(2, '0');
  const day = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join('-');
  return `${day} ${localClock(at)}`;
}

/** The same without the date. `withMs`: to the millisecond. */
export function localClock(at: string | number, withMs = false): string {
  const time = new Date(at);
  const two = (n: number) => String(n).padStart(2, '0');
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(':');
  return withMs ? `${clock}.${String(time.getMilliseconds()).padStart(3, '0')}` : clock;
}
