/** What a broker says of one of its listeners. */
export interface Said {
  id: number;
  network: string;
  address: string;
}

/** A `plugin.ConnInfo` on the wire of gRPC. */
export function announcement({ id, network, address }: Said, extra: Buffer = Buffer.alloc(0)): Buffer {
  const text = (field: number, value: string) => {
    const bytes = Buffer.from(value);
    return Buffer.concat([Buffer.of(field * 8 + 2), varint(bytes.length), bytes]);
  };
  return grpcFrame(Buffer.concat([Buffer.of(8), varint(id), text(2, network), text(3, address), extra]));
}

/** A message with gRPC's prefix. */
export function grpcFrame(message: Buffer, flag = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** The messages in what was received, each without its prefix. */
export function messagesIn(bytes: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  for (let at = 0; at + 5 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at + 1);
    messages.push(bytes.subarray(at + 5, at + 5 + length));
    at += 5 + length;
  }
  return messages;
}

/** The announcements in what was received; fields that have no name are left out. */
export function announcementsIn(bytes: Buffer): Said[] {
  return messagesIn(bytes).map((message) => {
    const said: Said = { id: 0, network: "", address: "" };
    let at = 0;
    const number = () => {
      let value = 0;
      for (let shift = 0; ; shift += 7) {
        const byte = message[at++] ?? 0;
        value += (byte & 0x7f) * 2 ** shift;
        if (byte < 0x80) return value;
      }
    };
    while (at < message.length) {
      const tag = number();
      const value = number();
      if (tag === 8) said.id = value;
      if (tag % 8 !== 2) continue;
      const text = message.subarray(at, at + value).toString();
      at += value;
      if (tag === 18) said.network = text;
      if (tag === 26) said.address = text;
    }
    return said;
  });
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.of(...bytes, rest);
}
