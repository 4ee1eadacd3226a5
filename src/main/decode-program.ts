/** `meter-gateway decode` alone: a recording of any length is read in little memory, and most of the gateway is not needed for it. */
import { addDecodeCommand } from './decode-command.ts';
import { newProgram } from './new-program.ts';

export const program = newProgram();
addDecodeCommand(program);
