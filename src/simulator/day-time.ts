/**
 * The time of day in which virtual meters live: what their clocks show and their registers follow. It can be set and run
 * faster; octets, turn-arounds and timers of the protocols keep to the time of the line.
 */
import { type Millis, millis } from '../base/time.ts';

export class DayTime {
  private line: Millis = millis(0);
  private day: Millis = millis(0);
  speed = 1;
  at(line: Millis): Millis {
    return millis(this.day + (line - this.line) * this.speed);
  }
  /** When that time of day comes on the line. */
  lineAt(day: Millis): Millis {
    return millis(this.line + (day - this.day) / this.speed);
  }
  /** Sets the time of day to `day`; from now on it runs so many times as fast as the line. */
  set(line: Millis, day: Millis, speed: number): void {
    this.line = line;
    this.day = day;
    this.speed = speed;
  }
}
