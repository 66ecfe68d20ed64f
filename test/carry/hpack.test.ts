import { type ClientHttp2Session, connect, type OutgoingHttpHeaders } from "node:http2";
import { Duplex } from "node:stream";
import { describe, expect, test } from "vitest";
import { HEADER_LENGTH, HEADERS, PREFACE, readHeader } from "../../src/carry/frames.ts";
import { HpackDecoder } from "../../src/carry/hpack/hpack-decoder.ts";
import { decodeHuffman } from "../../src/carry/hpack/huffman.ts";
import { eventually } from "../tools/eventually.ts";
import fc from "../tools/property.ts";

const hex = (text: string) => Buffer.from(text.replaceAll(/\s/g, ""), "hex");

/** RFC 7541, appendix C: blocks of one connection in their order, each with what it says. */
const REQUESTS: [block: string, fields: [string, string][]][] = [
  [
    "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
    [
      [":method", "GET"],
      [":scheme", "http"],
      [":path", "/"],
      [":authority", "www.example.com"],
    ],
  ],
  [
    "8286 84be 5808 6e6f 2d63 6163 6865",
    [
      [":method", "GET"],
      [":scheme", "http"],
      [":path", "/"],
      [":authority", "www.example.com"],
      ["cache-control", "no-cache"],
    ],
  ],
  [
    "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    [
      [":method", "GET"],
      [":scheme", "https"],
      [":path", "/index.html"],
      [":authority", "www.example.com"],
      ["custom-key", "custom-value"],
    ],
  ],
];

const HUFFMAN_REQUESTS = [
  "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
  "8286 84be 5886 a8eb 1064 9cbf",
  "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
];

/** C.5 and C.6: answers with a table of 256 bytes, so that entries are evicted. */
const ANSWERS: [block: string, huffman: string, fields: [string, string][]][] = [
  [
    `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 54
     6e17 6874 7470 733a 2f2f 7777 772e 6578 616d 706c 652e 636f 6d`,
    `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b
     97c8 e9ae 82ae 43d3`,
    [
      [":status", "302"],
      ["cache-control", "private"],
      ["date", "Mon, 21 Oct 2013 20:13:21 GMT"],
      ["location", "https://www.example.com"],
    ],
  ],
  [
    "4803 3330 37c1 c0bf",
    "4883 640e ffc1 c0bf",
    [
      [":status", "307"],
      ["cache-control", "private"],
      ["date", "Mon, 21 Oct 2013 20:13:21 GMT"],
      ["location", "https://www.example.com"],
    ],
  ],
  [
    `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d
     4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572
     7369 6f6e 3d31`,
    `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf
     cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
    [
      [":status", "200"],
      ["cache-control", "private"],
      ["date", "Mon, 21 Oct 2013 20:13:22 GMT"],
      ["location", "https://www.example.com"],
      ["content-encoding", "gzip"],
      ["set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"],
    ],
  ],
];

describe("the examples of RFC 7541", () => {
  test("single fields, C.2", () => {
    const decode = (block: string) => new HpackDecoder().decode(hex(block));
    expect(decode("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572")).toEqual([
      ["custom-key", "custom-header"],
    ]);
    expect(decode("040c 2f73 616d 706c 652f 7061 7468")).toEqual([[":path", "/sample/path"]]);
    expect(decode("1008 7061 7373 776f 7264 0673 6563 7265 74")).toEqual([["password", "secret"]]);
    expect(decode("82")).toEqual([[":method", "GET"]]);
  });

  test("requests, C.3 and C.4", () => {
    const plain = new HpackDecoder();
    const huffman = new HpackDecoder();
    REQUESTS.forEach(([block, fields], nth) => {
      expect(plain.decode(hex(block))).toEqual(fields);
      expect(huffman.decode(hex(HUFFMAN_REQUESTS[nth] ?? ""))).toEqual(fields);
    });
  });

  test("answers with evictions, C.5 and C.6", () => {
    const plain = new HpackDecoder();
    const huffman = new HpackDecoder();
    // A table of 256 bytes, which the sender announces in front of a block.
    for (const decoder of [plain, huffman]) expect(decoder.decode(hex("3fe101"))).toEqual([]);
    for (const [block, packed, fields] of ANSWERS) {
      expect(plain.decode(hex(block))).toEqual(fields);
      expect(huffman.decode(hex(packed))).toEqual(fields);
    }
  });
});

describe("malformed blocks", () => {
  const blocks: [what: string, block: string][] = [
    ["index 0", "80"],
    ["an index that nothing has", "be"],
    ["a name that nothing has", "7f 80 01 01 61"],
    ["a number without end", "ff ff ff ff ff ff ff ff ff 01"],
    ["a number that breaks off", "ff"],
    ["a text that breaks off", "40 0a 6375"],
    ["no value", "40 01 61"],
    ["the mark that is never sent", "40 01 61 84 ff ff ff ff"],
    ["padding of zeros", "40 01 61 81 18"],
    ["padding of a whole byte", "40 01 61 82 1f ff"],
    ["a table larger than allowed", "3f e2 1f"],
    ["a new size in the middle", "82 20"],
  ];
  test.each(blocks)("%s", (_what, block) => expect(new HpackDecoder().decode(hex(block))).toBeUndefined());

  test("whatever comes, it ends in fields or in a refusal", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 })), (blocks) => {
        const decoder = new HpackDecoder();
        for (const block of blocks) decoder.decode(block);
      }),
      { numRuns: 2_000 },
    );
  });

  test("whatever comes, Huffman's code gives a text or nothing", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => void decodeHuffman(bytes)),
      { numRuns: 2_000 },
    );
  });
});

describe("Node's own encoder", () => {
  test("is understood, whatever is sent in whatever order", async () => {
    const name = fc.constantFrom("x-a", "x-b", "user-agent", "grpc-timeout", "accept-encoding", "cookie", "x-long");
    // No space at the ends: those are not part of a value.
    const value = fc.stringMatching(/^[!-~]([ -~]{0,200}[!-~])?$/);
    const requests = fc.array(fc.dictionary(name, value, { maxKeys: 7 }), { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(requests, async (sent) => {
        const recorded = new RecordedClient();
        const paths = sent.map((headers, nth) => {
          const path = `/service.${nth}/Method${nth % 3}`;
          recorded.request({ ":method": "POST", ":path": path, te: "trailers", ...headers });
          return path;
        });
        const blocks = await recorded.blocks(sent.length);
        recorded.close();
        const decoder = new HpackDecoder();
        const decoded = blocks.map((block) => decoder.decode(block));
        decoded.forEach((fields, nth) => {
          expect(fields?.find(([name]) => name === ":path")?.[1]).toBe(paths[nth]);
          for (const [name, value] of Object.entries(sent[nth] ?? {})) {
            if (name !== "cookie") expect(fields).toContainEqual([name, value]);
          }
        });
      }),
      { numRuns: 50 },
    );
  });
});

/** A client of Node's whose bytes nobody answers. */
class RecordedClient {
  readonly #session: ClientHttp2Session;
  #sent = Buffer.alloc(0);

  constructor() {
    const wire = new Duplex({
      read: () => {},
      write: (chunk: Buffer, _encoding, done) => {
        this.#sent = Buffer.concat([this.#sent, chunk]);
        done();
      },
    });
    this.#session = connect("http://localhost", { createConnection: () => wire });
    this.#session.on("error", () => {});
  }

  request(headers: OutgoingHttpHeaders): void {
    this.#session.request(headers, { endStream: true }).on("error", () => {});
  }

  async blocks(count: number): Promise<Buffer[]> {
    return eventually(() => this.#read(count), { what: "the requests" });
  }

  close(): void {
    this.#session.destroy();
  }

  #read(count: number): Buffer[] | undefined {
    const blocks: Buffer[] = [];
    for (let at = PREFACE.length; at + HEADER_LENGTH <= this.#sent.length; ) {
      const { type, length } = readHeader(this.#sent, at);
      at += HEADER_LENGTH;
      // Node sends neither padding nor more headers than one frame holds here, but a priority.
      if (type === HEADERS)
        blocks.push(this.#sent.subarray(at + ((this.#sent[at - 5] ?? 0) & 0x20 ? 5 : 0), at + length));
      at += length;
    }
    return blocks.length === count ? blocks : undefined;
  }
}
