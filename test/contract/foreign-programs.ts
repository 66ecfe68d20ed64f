import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** ELF's numbers for two machines that cannot run each other's programs. */
const X86_64 = 62;
const AARCH64 = 183;
const ELF64_HEADER = 64;
const PROGRAM_HEADER = 56;
const PT_LOAD = 1;
const PT_INTERP = 3;

/** Writes a program for a machine that is not this one; nothing but its head, which is all that anybody looks at. */
export function writeForeignProgram(directory: string): { path: string; machine: string } {
  const [machine, name] = ownMachine() === AARCH64 ? [X86_64, "EM_X86_64"] : [AARCH64, "EM_AARCH64"];
  return { path: write(directory, "foreign", elf(machine)), machine: name };
}

/** Writes a program for this machine that asks for a loader which does not exist, as one for another C library does. */
export function writeProgramWithoutLoader(directory: string): { path: string; loader: string } {
  const loader = "/lib64/ld-nowhere.so.2";
  return { path: write(directory, "unloadable", elf(ownMachine(), loader)), loader };
}

/** Writes a script for an interpreter that does not exist. */
export function writeScriptWithoutInterpreter(directory: string): { path: string; interpreter: string } {
  const interpreter = "/no/such/interpreter";
  return { path: write(directory, "script", Buffer.from(`#!${interpreter}\necho never\n`)), interpreter };
}

function ownMachine(): number {
  return readFileSync(process.execPath).readUInt16LE(18);
}

/** The smallest file that a kernel takes for an executable of `machine`, as the ELF specification lays it out. */
function elf(machine: number, loader = ""): Buffer {
  const file = Buffer.alloc(4096);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  file.writeUInt16LE(2, 16);
  file.writeUInt16LE(machine, 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(0x400000n, 24);
  file.writeBigUInt64LE(BigInt(ELF64_HEADER), 32);
  file.writeUInt16LE(ELF64_HEADER, 52);
  file.writeUInt16LE(PROGRAM_HEADER, 54);
  file.writeUInt16LE(loader ? 2 : 1, 56);
  if (loader) {
    const at = 512;
    file.write(`${loader}\0`, at);
    segment(file, 0, PT_INTERP, at, loader.length + 1);
  }
  segment(file, loader ? 1 : 0, PT_LOAD, 0, file.length);
  return file;
}

function segment(file: Buffer, index: number, type: number, offset: number, length: number): void {
  const at = ELF64_HEADER + index * PROGRAM_HEADER;
  file.writeUInt32LE(type, at);
  file.writeUInt32LE(5, at + 4);
  file.writeBigUInt64LE(BigInt(offset), at + 8);
  for (const field of [16, 24]) file.writeBigUInt64LE(0x400000n + BigInt(offset), at + field);
  for (const field of [32, 40]) file.writeBigUInt64LE(BigInt(length), at + field);
  file.writeBigUInt64LE(4096n, at + 48);
}

function write(directory: string, name: string, bytes: Buffer): string {
  const path = join(directory, name);
  writeFileSync(path, bytes);
  chmodSync(path, 0o755);
  return path;
}
