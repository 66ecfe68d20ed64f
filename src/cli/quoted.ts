/** A word as it is typed into a POSIX shell: quoted, if it would mean something else without. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./~-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
