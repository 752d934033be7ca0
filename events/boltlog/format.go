package boltlog

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/hermesboard/hermes/events"
)

// Format numbers the layout this program writes and reads.
//
//	1  the buckets listed in the package comment
const Format = 1

// pageSize is fixed so that a file is the same on every machine.
const pageSize = 4096

var (
	bucketMeta   = []byte("meta")
	bucketLog    = []byte("log")
	bucketCmd    = []byte("cmd")
	bucketTask   = []byte("task")
	bucketOffset = []byte("offset")

	buckets = [][]byte{bucketMeta, bucketLog, bucketCmd, bucketTask, bucketOffset}
)

// Keys in meta.
var (
	keyBoard   = []byte("board")
	keyOffsets = []byte("offsets")
	keyIndexed = []byte("indexed")
)

// Meta is what is fixed when a board is created.
type Meta struct {
	Board   events.BoardID `json:"board"`
	Slug    string         `json:"slug"`
	Created events.Time    `json:"created"`
	Needs   uint32         `json:"needs"` // lowest format a program must know to read the file; 0 in Create means Format
}

type metaValue struct {
	Format uint32 `json:"format"`
	Meta
}

func encodeMeta(m Meta) ([]byte, error) {
	b, err := json.Marshal(metaValue{Format, m})
	return seal(keyBoard, b), err
}

func decodeMeta(sealed []byte) (m Meta, err error) {
	b, ok := unseal(keyBoard, sealed)
	if !ok {
		return m, damaged("meta does not match its checksum")
	}
	var v metaValue
	if err := json.Unmarshal(b, &v); err != nil {
		return m, damaged("meta: %v", err)
	}
	return v.Meta, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal appends the checksum of key and value to value.
func seal(key, value []byte) []byte {
	return binary.BigEndian.AppendUint32(value, checksum(key, value))
}

func checksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}

// unseal checks and cuts off what seal appended. The result aliases sealed.
func unseal(key, sealed []byte) (value []byte, ok bool) {
	n := len(sealed) - 4
	if n < 0 {
		return nil, false
	}
	value = sealed[:n:n]
	return value, checksum(key, value) == binary.BigEndian.Uint32(sealed[n:])
}

func seqKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

// hashesSize is how long the hashes in the row of a record are: it completes
// one subtree for each factor of two in its position, and its own leaf.
func hashesSize(seq uint64) int { return (1 + bits.TrailingZeros64(seq)) * tlog.HashSize }

// row is a value of log. Its parts alias the value.
type row struct {
	hashes []byte // that the record completes, by level
	check  events.Check
	record []byte
	text   []byte // nil = none; a tombstone if it was erased
}

// rowHead is what stands between hashes and record: the command's check and the
// size of the record, sealed.
const rowHead = len(events.Check{}) + 4 + 4

// appendRowHead appends it; key is that of the row.
func appendRowHead(b, key []byte, check events.Check, recordSize int) []byte {
	start := len(b)
	b = append(b, check[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(recordSize))
	return binary.BigEndian.AppendUint32(b, checksum(key, b[start:]))
}

func parseRow(seq uint64, b []byte) (r row, ok bool) {
	n := hashesSize(seq)
	if len(b) <= n+rowHead {
		return r, false
	}
	head, ok := unseal(seqKey(seq), b[n:n+rowHead])
	if !ok {
		return r, false
	}
	rest := b[n+rowHead:]
	size := int64(binary.BigEndian.Uint32(head[len(r.check):]))
	if size == 0 || size > int64(len(rest)) {
		return r, false
	}
	r.hashes = b[:n:n]
	copy(r.check[:], head)
	r.record = rest[:size:size]
	if len(rest) > int(size) {
		r.text = rest[size:]
	}
	return r, true
}

func parseSeq(key []byte) (seq uint64, ok bool) {
	if len(key) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(key), true
}

// encodeCommand writes where the records of a command lie; its check is in
// their rows.
func encodeCommand(key []byte, c events.CommandEntry) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 16), c.First)
	return seal(key, binary.BigEndian.AppendUint32(b, uint32(c.Count)))
}

func decodeCommand(key, sealed []byte) (c events.CommandEntry, ok bool) {
	b, ok := unseal(key, sealed)
	if !ok || len(b) != 12 {
		return c, false
	}
	c.First = binary.BigEndian.Uint64(b)
	c.Count = int(binary.BigEndian.Uint32(b[8:]))
	return c, true
}

// tombstone stands for a text that was erased, so that one that got lost
// looks different.
func tombstone(seq uint64) []byte { return seal(seqKey(seq), nil) }

// isErased reports whether a tombstone is stored as a record's text.
func isErased(text []byte, seq uint64) bool {
	return len(text) == 4 && bytes.Equal(text, tombstone(seq))
}

func encodeOffset(key []byte, seq uint64) []byte { return seal(key, seqKey(seq)) }

func decodeOffset(key, sealed []byte) (seq uint64, ok bool) {
	b, ok := unseal(key, sealed)
	if !ok {
		return 0, false
	}
	return parseSeq(b)
}
