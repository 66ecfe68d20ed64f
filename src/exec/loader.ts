import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";

/**
 * The program that every exec request starts. It reads a document from stdin, up to a line that only we know, and
 * evaluates it, so that neither the document nor what is in it shows in any argv or log.
 *
 * `read` takes one byte at a time from a pipe, so what follows the document stays for the document to read. If stdin
 * ends early nothing is evaluated. It has no `!` (csh history), no newline and no single quote, so that it can be
 * quoted for every login shell.
 */
export const LOADER =
  'gps_nl=$(printf "\\nx"); gps_nl=${gps_nl%x}; gps_text=; IFS= read -r gps_end || exit 99; ' +
  'until IFS= read -r gps_line || exit 99; [ "$gps_line" = "$gps_end" ]; do gps_text=$gps_text$gps_line$gps_nl; done; ' +
  'eval "$gps_text"';

/** The one command that is ever asked of a box. The same text is right for dash, bash, zsh, fish and tcsh. */
export const EXEC_REQUEST = `exec /bin/sh -c '${LOADER}'`;

/**
 * Writes documents as the loader reads them: the end line, then each document closed by it. The first is evaluated;
 * it reads the others itself.
 */
export function frame(...documents: string[]): string {
  const end = randomWord();
  return `${end}\n${documents.map((document) => closed(document, end)).join("")}`;
}

/** A document, and the line that ends it. */
export function closed(document: string, end: string): string {
  return `${document.replace(/\n*$/, "\n")}${end}\n`;
}

/** A word that nobody can guess, made of letters and digits. */
export function randomWord(): string {
  return `gps${randomBytes(16).toString("hex")}`;
}

/** The text of a shell program beside this file, without its comments and indentation, which need not travel. */
export function readProgram(name: string): string {
  return readFileSync(new URL(`./${name}`, import.meta.url), "utf8").replace(/^[ \t]*#.*\n|^[ \t]+/gm, "");
}

/** The same of a program in another language, where indentation may mean something: only its comments are left out. */
export function readScript(name: string): string {
  return readFileSync(new URL(`./${name}`, import.meta.url), "utf8").replace(/^[ \t]*#.*\n/gm, "");
}
