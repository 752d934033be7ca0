package boltlog

import (
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
	bucketText   = []byte("text")
	bucketCmd    = []byte("cmd")
	bucketTask   = []byte("task")
	bucketOffset = []byte("offset")

	buckets = [][]byte{bucketMeta, bucketLog, bucketText, bucketCmd, bucketTask, bucketOffset}
)

// Keys in meta.
var (
	keyBoard   = []byte("board")
	keyOffsets = []byte("offsets")
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
	sum := crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
	return binary.BigEndian.AppendUint32(value, sum)
}

// unseal checks and cuts off what seal appended. The result aliases sealed.
func unseal(key, sealed []byte) (value []byte, ok bool) {
	n := len(sealed) - 4
	if n < 0 {
		return nil, false
	}
	value = sealed[:n:n]
	sum := crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
	return value, sum == binary.BigEndian.Uint32(sealed[n:])
}

func seqKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

// hashesSize is how long the hashes in the row of a record are: it completes
// one subtree for each factor of two in its position, and its own leaf.
func hashesSize(seq uint64) int { return (1 + bits.TrailingZeros64(seq)) * tlog.HashSize }

// parseRow splits a value of log into the hashes that the record completes, by
// level, and the record. Both alias row.
func parseRow(seq uint64, row []byte) (hashes, record []byte, ok bool) {
	n := hashesSize(seq)
	if len(row) <= n {
		return nil, nil, false
	}
	return row[:n:n], row[n:], true
}

func parseSeq(key []byte) (seq uint64, ok bool) {
	if len(key) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(key), true
}

func taskKey(task events.TaskID, seq uint64) []byte {
	k := binary.BigEndian.AppendUint32(make([]byte, 0, 12), uint32(task))
	return binary.BigEndian.AppendUint64(k, seq)
}

func parseTaskKey(key []byte) (task events.TaskID, seq uint64, ok bool) {
	if len(key) != 12 {
		return 0, 0, false
	}
	return events.TaskID(binary.BigEndian.Uint32(key)), binary.BigEndian.Uint64(key[4:]), true
}

func encodeCommand(key []byte, c events.CommandEntry) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 32), c.First)
	b = binary.BigEndian.AppendUint32(b, uint32(c.Count))
	return seal(key, append(b, c.Check[:]...))
}

func decodeCommand(key, sealed []byte) (c events.CommandEntry, ok bool) {
	b, ok := unseal(key, sealed)
	if !ok || len(b) != 12+len(c.Check) {
		return c, false
	}
	c.First = binary.BigEndian.Uint64(b)
	c.Count = int(binary.BigEndian.Uint32(b[8:]))
	copy(c.Check[:], b[12:])
	return c, true
}

// tombstone stands for a text that was erased, so that one that got lost
// looks different.
func tombstone(seq uint64) []byte { return seal(seqKey(seq), nil) }

func encodeOffset(key []byte, seq uint64) []byte { return seal(key, seqKey(seq)) }

func decodeOffset(key, sealed []byte) (seq uint64, ok bool) {
	b, ok := unseal(key, sealed)
	if !ok {
		return 0, false
	}
	return parseSeq(b)
}
