//go:build linux && (amd64 || arm64)

package escape

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox/driver"
)

var networkAttempts = []attempt{
	{id: "N1", name: "reach the host's loopback by TCP", needs: driver.NetworkNone, stage: listening("tcp", "127.0.0.1:0"), try: dialing("tcp")},
	{id: "N2", name: "reach the gateway's socket by its path", needs: driver.Files, stage: listeningAt("home", "run", "gw"), try: dialing("unix")},
	{id: "N3", name: "reach an abstract socket", needs: driver.NetworkNone, stage: stageAbstract, try: dialing("unix")},
	{id: "N4", name: "reach the container daemon's socket", needs: driver.Files, stage: listeningAt("docker.sock"), try: dialDaemons},
	{id: "N5", name: "use a descriptor that was left open", stage: stageDescriptor, try: readDescriptors, bare: true},
	{id: "N6", name: "be handed a descriptor by an accomplice", needs: driver.NetworkNone, stage: stageAccomplice, try: takeDescriptor},
	{id: "N7", name: "open a socket to the hypervisor (AF_VSOCK)", needs: driver.NetworkNone, stage: told, try: func(inside) {
		if fd, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0); err == nil {
			unix.Close(fd)
			reached("a socket")
		}
	}},
	{id: "N8", name: "see the host's sockets and interfaces (AF_NETLINK)", needs: driver.NetworkNone, stage: stageNetlink, try: askNetlink},
	{id: "N9", name: "send raw packets", needs: driver.NetworkNone, stage: listening("udp", "127.0.0.1:0"), try: sendRaw},
	{id: "N10", name: "ask a name server directly", needs: driver.NetworkNone, stage: listening("udp", "127.0.0.1:0"), try: dialing("udp")},
	{id: "N15", name: "a shell's /dev/tcp", needs: driver.NetworkNone, stage: listening("tcp", "127.0.0.1:0"), try: func(in inside) {
		host, port, _ := net.SplitHostPort(in["address"])
		exec.Command("bash", "-c", "echo hit >/dev/tcp/"+host+"/"+port).Run()
	}},
	{id: "N16", name: "another run's proxy", needs: driver.Files, stage: listeningAt("other", "proxy"), try: dialing("unix")},
}

func listening(network, address string) func(*scene) (judge, error) {
	return func(s *scene) (judge, error) {
		c, err := s.listen(network, address)
		if err != nil {
			return nil, err
		}
		s.args["address"] = c.addr
		return c.judge, nil
	}
}

func listeningAt(path ...string) func(*scene) (judge, error) {
	return func(s *scene) (judge, error) {
		full := filepath.Join(append([]string{s.dir}, path...)...)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			return nil, err
		}
		look, err := listening("unix", full)(s)
		return func() (bool, string) {
			if open, detail := look(); open {
				return open, detail
			}
			return s.byWord()
		}, err
	}
}

func stageAbstract(s *scene) (judge, error) {
	return listening("unix", "@"+filepath.Base(s.dir))(s)
}

func dialing(network string) func(inside) {
	return func(in inside) { hit(network, in["address"]) }
}

func hit(network, address string) bool {
	conn, err := net.DialTimeout(network, address, 2*time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	_, err = conn.Write([]byte("hit"))
	return err == nil
}

func dialDaemons(in inside) {
	hit("unix", in["address"])
	for _, path := range []string{"/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock", "/run/dbus/system_bus_socket"} {
		if hit("unix", path) {
			reached(path)
		}
	}
}

// stageDescriptor leaves a canary open, as a careless library would, without
// the mark that closes it when another program is started.
func stageDescriptor(s *scene) (judge, error) {
	path, err := s.secret("descriptor")
	if err != nil {
		return nil, err
	}
	fd, err := syscall.Open(path, syscall.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	s.defers(func() { syscall.Close(fd) })
	return s.byCanary, nil
}

func readDescriptors(inside) {
	for fd := 3; fd < 1024; fd++ {
		var st syscall.Stat_t
		if syscall.Fstat(fd, &st) != nil || st.Mode&syscall.S_IFMT != syscall.S_IFREG {
			continue
		}
		b := make([]byte, 4096)
		if n, err := syscall.Pread(fd, b, 0); err == nil {
			show(b[:n])
		}
	}
}

// stageAccomplice has somebody outside hand a canary's descriptor to whoever
// comes.
func stageAccomplice(s *scene) (judge, error) {
	path, err := s.secret("handed")
	if err != nil {
		return nil, err
	}
	name := "@" + filepath.Base(s.dir) + "-accomplice"
	l, err := net.Listen("unix", name)
	if err != nil {
		return nil, err
	}
	s.args["address"] = name
	s.accept(l, func(conn net.Conn) {
		if f, err := os.Open(path); err == nil {
			conn.(*net.UnixConn).WriteMsgUnix([]byte("x"), unix.UnixRights(int(f.Fd())), nil)
			f.Close()
		}
	})
	return s.byCanary, nil
}

func takeDescriptor(in inside) {
	conn, err := net.DialTimeout("unix", in["address"], 2*time.Second)
	if err != nil {
		return
	}
	defer conn.Close()
	b, rights := make([]byte, 1), make([]byte, 64)
	_, n, _, _, err := conn.(*net.UnixConn).ReadMsgUnix(b, rights)
	if err != nil {
		return
	}
	msgs, _ := unix.ParseSocketControlMessage(rights[:n])
	for _, m := range msgs {
		fds, _ := unix.ParseUnixRights(&m)
		for _, fd := range fds {
			b, _ := io.ReadAll(os.NewFile(uintptr(fd), "handed"))
			show(b)
		}
	}
}

// stageNetlink knows a port and the addresses of interfaces that only the
// host's own network namespace has.
func stageNetlink(s *scene) (judge, error) {
	port, _, err := s.sink()
	if err != nil {
		return nil, err
	}
	signs := []string{"port " + port + "\n"}
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	for _, i := range interfaces {
		if len(i.HardwareAddr) > 0 {
			signs = append(signs, "interface "+i.HardwareAddr.String()+"\n")
		}
	}
	return func() (bool, string) {
		for _, sign := range signs {
			if s.out.has(sign) {
				return true, "saw the host's " + strings.TrimSpace(sign)
			}
		}
		return false, ""
	}, nil
}

func askNetlink(inside) {
	interfaces, _ := net.Interfaces()
	for _, i := range interfaces {
		fmt.Println("interface", i.HardwareAddr)
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	const head, request, listening = 16, 56, 1 << 10
	b := make([]byte, head+request)
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], unix.SOCK_DIAG_BY_FAMILY)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	b[head], b[head+1] = unix.AF_INET, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(b[head+4:], listening)
	if unix.Sendto(fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}) != nil {
		return
	}
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2})
	for buf := make([]byte, 1<<16); ; {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if err != nil || n < head {
			return
		}
		for msg := buf[:n]; len(msg) >= head; {
			size := int(binary.NativeEndian.Uint32(msg))
			kind := binary.NativeEndian.Uint16(msg[4:])
			if size < head || size > len(msg) || kind == unix.NLMSG_DONE || kind == unix.NLMSG_ERROR {
				return
			}
			if size >= head+6 {
				fmt.Println("port", binary.BigEndian.Uint16(msg[head+4:]))
			}
			msg = msg[min((size+3)&^3, len(msg)):]
		}
	}
}

// sendRaw writes a UDP packet by hand.
func sendRaw(in inside) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_UDP)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	_, port, _ := net.SplitHostPort(in["address"])
	var to uint16
	fmt.Sscan(port, &to)
	packet := make([]byte, 8+3)
	binary.BigEndian.PutUint16(packet, 5353)
	binary.BigEndian.PutUint16(packet[2:], to)
	binary.BigEndian.PutUint16(packet[4:], uint16(len(packet)))
	copy(packet[8:], "hit")
	unix.Sendto(fd, packet, 0, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
}

// sink counts what arrives where nothing may.
func (s *scene) sink() (port string, c *counter, err error) {
	if c, err = s.listen("tcp", "127.0.0.1:0"); err != nil {
		return "", nil, err
	}
	_, port, err = net.SplitHostPort(c.addr)
	return port, c, err
}
