package driver

import "fmt"

// Settings is what a profile says about a backend beside its name. The zero
// value leaves everything to the backend's defaults.
type Settings struct {
	// Image is the root a container starts from: a reference, a digest or an
	// archive, as the backend understands it.
	Image string
	// Host, Port and User name an account on another machine.
	Host string
	Port int
	User string
	// Key and KnownHosts are files of this host: the private key to log in
	// with, and the keys by which the other machine is known.
	Key        string
	KnownHosts string
}

// Configurable is a driver that honours settings.
type Configurable interface {
	Driver

	// With returns the driver as the settings want it. A setting that it
	// cannot honour is a *SettingError; it does no I/O.
	With(Settings) (Driver, error)
}

// SettingError names a setting that a backend cannot honour.
type SettingError struct {
	Driver, Setting, Reason string
}

// Error says which backend refuses which setting.
func (e *SettingError) Error() string {
	return fmt.Sprintf("sandbox %s cannot honour the setting %s: %s", e.Driver, e.Setting, e.Reason)
}

// Given returns the names of the settings that are not left to the default.
func (s Settings) Given() []string {
	var names []string
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"image", s.Image != ""}, {"host", s.Host != ""}, {"port", s.Port != 0}, {"user", s.User != ""},
		{"key", s.Key != ""}, {"known hosts", s.KnownHosts != ""},
	} {
		if f.set {
			names = append(names, f.name)
		}
	}
	return names
}
