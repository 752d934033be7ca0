//go:build linux && (amd64 || arm64)

package dockerbox

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// The host and the container's first process speak over one connection of a
// unix socket. The host sends one order, with the pipes as descriptors; after
// that every byte is a signal for the main process, and the end of the
// connection the end of everything. Back come notices, one JSON value each.
// What comes back may come from the program itself, and is bounded.

// order is what to run. The bytes of arguments need not be text.
type order struct {
	Argv, Env [][]byte
	Dir       string
	OpenFiles int
	FileBytes int64
	Pipes     [3]bool // which of input, output and error are sent along; the others are the null device
}

// notice is one of the three things that the first process has to tell.
type notice struct {
	Failed  string `json:",omitempty"` // the program could not be started
	Started bool   `json:",omitempty"`
	Ended   *ended `json:",omitempty"`
}

type ended struct{ Code, Signal int }

// Bounds on what is read from the other side.
const (
	orderBytes  = 16 << 20
	noticeBytes = 64 << 10
)

func sendOrder(conn *net.UnixConn, o *order, pipes []*os.File) error {
	body, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if len(body) > orderBytes {
		return fmt.Errorf("arguments and environment of %d bytes are too long", len(body))
	}
	fds := make([]int, len(pipes))
	for i, f := range pipes {
		fds[i] = int(f.Fd())
	}
	var head [4]byte
	binary.BigEndian.PutUint32(head[:], uint32(len(body)))
	// The descriptors travel with the length.
	if _, _, err := conn.WriteMsgUnix(head[:], unix.UnixRights(fds...), nil); err != nil {
		return err
	}
	_, err = conn.Write(body)
	return err
}

func receiveOrder(conn *net.UnixConn) (*order, []int, error) {
	var head [4]byte
	oob := make([]byte, unix.CmsgSpace(4*3))
	n, oobn, _, _, err := conn.ReadMsgUnix(head[:], oob)
	if err != nil {
		return nil, nil, err
	}
	if n != len(head) {
		return nil, nil, errors.New("short order")
	}
	body := make([]byte, min(binary.BigEndian.Uint32(head[:]), orderBytes))
	if _, err := io.ReadFull(conn, body); err != nil {
		return nil, nil, err
	}
	var o order
	if err := json.Unmarshal(body, &o); err != nil {
		return nil, nil, err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) == 0 {
		return &o, nil, err
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	return &o, fds, err
}

func toBytes(list []string) [][]byte {
	out := make([][]byte, len(list))
	for i, s := range list {
		out[i] = []byte(s)
	}
	return out
}

func toStrings(list [][]byte) []string {
	out := make([]string, len(list))
	for i, b := range list {
		out[i] = string(b)
	}
	return out
}
