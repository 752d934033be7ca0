package driver

import (
	"fmt"
	"strings"
)

// Capabilities is a set of things a backend enforces, or a profile requires.
// The zero value is the empty set.
type Capabilities uint32

// A capability means the backend enforces it against a hostile program.
const (
	// Files: only the listed folders of the host are visible; inputs and
	// mounts not marked writable cannot be changed.
	Files Capabilities = 1 << iota
	// NetworkNone: no way out, not even to the host's loopback.
	NetworkNone
	// NetworkProxy: the only way out is the run's own proxy.
	NetworkProxy
	// NetworkFull: the host's network can be given.
	NetworkFull
	// Processes: other processes of the host are invisible and cannot be
	// signalled, and the death of the session ends every process in it.
	Processes
	// Users: no privilege over the host's users; setuid programs gain nothing.
	Users
	// Syscalls: a filter keeps risky parts of the kernel out of reach.
	Syscalls
	// LimitMemory, LimitCPU and LimitProcesses bound the whole tree.
	LimitMemory
	LimitCPU
	LimitProcesses
	// LimitDisk bounds what the tree may write into the workspace, the outputs
	// and writable mounts. No driver declares it: package sandbox does, for
	// those with Files and Processes, and looks after it.
	LimitDisk
	// LimitTmp bounds every writable place that is not a folder of the host.
	LimitTmp
	// LimitOpenFiles and LimitFileSize bound each process.
	LimitOpenFiles
	LimitFileSize
	// Socket: the worker's unix socket is reachable inside.
	Socket
	// Persistence: the sandbox survives the process that started it and can
	// be joined again.
	Persistence
)

var capabilityNames = []string{
	"files", "network.none", "network.proxy", "network.full", "processes", "users", "syscalls",
	"limit.memory", "limit.cpu", "limit.processes", "limit.disk", "limit.tmp", "limit.open_files",
	"limit.file_size", "socket", "persistence",
}

// Has reports whether all of want is in c.
func (c Capabilities) Has(want Capabilities) bool { return want&^c == 0 }

// Names returns the names of the set in a fixed order.
func (c Capabilities) Names() []string {
	var names []string
	for i, name := range capabilityNames {
		if c&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// String lists the names separated by ", "; "none" for the empty set.
func (c Capabilities) String() string {
	if c == 0 {
		return "none"
	}
	return strings.Join(c.Names(), ", ")
}

// ParseCapabilities turns names as printed by [Capabilities.Names] into a set.
// An unknown name is an error that lists the known ones.
func ParseCapabilities(names []string) (Capabilities, error) {
	var set Capabilities
next:
	for _, name := range names {
		for i, known := range capabilityNames {
			if name == known {
				set |= 1 << i
				continue next
			}
		}
		return 0, fmt.Errorf("unknown sandbox capability %q (known: %s)", name, strings.Join(capabilityNames, ", "))
	}
	return set, nil
}
