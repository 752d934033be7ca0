package profile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/hermesboard/hermes/agents"
)

// Secret is a value that never shows: it prints as *** whatever way it is
// printed, logged or marshalled. Only Reveal gives it away. The zero value is
// no secret.
type Secret struct{ value string }

const hidden = "***"

// NewSecret keeps a value.
func NewSecret(value string) Secret { return Secret{value} }

var telegramToken = regexp.MustCompile(`^\d{3,20}:[A-Za-z0-9_-]{20,200}$`)

// TelegramToken reports whether a secret has the form of a Telegram bot's
// token. Only Telegram knows whether it is one.
func TelegramToken(s Secret) bool { return telegramToken.MatchString(s.value) }

// Reveal returns the value, for the one place that needs it.
func (s Secret) Reveal() string { return s.value }

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.value == "" }

// String returns ***.
func (Secret) String() string { return hidden }

// GoString returns ***.
func (Secret) GoString() string { return hidden }

// Format prints *** for every verb.
func (Secret) Format(f fmt.State, _ rune) { io.WriteString(f, hidden) }

// MarshalText returns ***.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// SecretsFile is the name of a profile's secrets in its folder.
const SecretsFile = ".env"

// maxSecrets bounds the file, in bytes.
const maxSecrets = 1 << 20

// Secrets are a profile's secrets by name, as its .env has them: lines of
// NAME=value, with # before a comment and quotes as a shell has them. What is
// no secret in there is kept as it stands. Not safe for concurrent use.
type Secrets struct {
	lines []secretLine
}

type secretLine struct {
	raw   string // as it stands, without the line's end
	name  string // empty = no secret
	value string
}

// LoadSecrets reads the .env of a profile's folder; one that is not there is
// empty. A file that others may read is refused, and so is anything but a
// regular file.
func LoadSecrets(dir string) (*Secrets, error) {
	path := filepath.Join(dir, SecretsFile)
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return &Secrets{}, nil
	} else if err != nil {
		return nil, fmt.Errorf("secrets: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, fmt.Errorf("secrets: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("secrets: %s is not a regular file", path)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("secrets: others may read %s (mode %04o); chmod 600 %s", path, info.Mode().Perm(), path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecrets+1))
	if err != nil {
		return nil, fmt.Errorf("secrets: %w", err)
	}
	if len(b) > maxSecrets {
		return nil, fmt.Errorf("secrets: %s has more than %d bytes", path, maxSecrets)
	}
	s, err := parseSecrets(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// parseSecrets never puts a value into its error.
func parseSecrets(b []byte) (*Secrets, error) {
	s := &Secrets{}
	if len(b) == 0 {
		return s, nil
	}
	for i, raw := range strings.Split(strings.TrimSuffix(string(b), "\n"), "\n") {
		line := secretLine{raw: raw}
		text := strings.TrimSpace(strings.TrimSuffix(raw, "\r"))
		if text != "" && !strings.HasPrefix(text, "#") {
			name, value, ok := strings.Cut(strings.TrimPrefix(text, "export "), "=")
			name = strings.TrimSpace(name)
			if !ok || !SecretName(name) {
				return nil, fmt.Errorf("line %d is not NAME=value", i+1)
			}
			var err error
			if line.value, err = unquote(strings.TrimSpace(value)); err != nil {
				return nil, fmt.Errorf("line %d: value of %s: %w", i+1, name, err)
			}
			line.name = name
		}
		s.lines = append(s.lines, line)
	}
	return s, nil
}

// SecretName reports whether s can name a secret: a variable's name.
func SecretName(s string) bool {
	for i, c := range []byte(s) {
		if !(c == '_' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || i > 0 && '0' <= c && c <= '9') {
			return false
		}
	}
	return s != "" && len(s) <= 128
}

// unquote reads a value: in single quotes as it stands, in double quotes with
// \n \t \" \\ and \$, without quotes up to " #".
func unquote(s string) (string, error) {
	switch {
	case strings.HasPrefix(s, "'"):
		end := strings.IndexByte(s[1:], '\'')
		if end < 0 || strings.TrimSpace(comment(s[end+2:])) != "" {
			return "", errors.New("the single quotes do not match")
		}
		return s[1 : end+1], nil
	case strings.HasPrefix(s, `"`):
		var b strings.Builder
		for i := 1; i < len(s); i++ {
			switch {
			case s[i] == '"':
				if strings.TrimSpace(comment(s[i+1:])) != "" {
					return "", errors.New("something stands behind the quotes")
				}
				return b.String(), nil
			case s[i] == '\\' && i+1 < len(s):
				i++
				if c := strings.IndexByte(`nt"\$`, s[i]); c >= 0 {
					b.WriteByte("\n\t\"\\$"[c])
				} else {
					b.WriteByte('\\')
					b.WriteByte(s[i])
				}
			default:
				b.WriteByte(s[i])
			}
		}
		return "", errors.New("the double quotes do not match")
	}
	return strings.TrimSpace(comment(" " + s)), nil
}

// comment cuts off what follows " #".
func comment(s string) string {
	if i := strings.Index(s, " #"); i >= 0 {
		return s[:i]
	}
	return s
}

// Get returns a secret; of a name given twice the last counts.
func (s *Secrets) Get(name string) (Secret, bool) {
	for i := len(s.lines) - 1; i >= 0; i-- {
		if s.lines[i].name == name && name != "" {
			return Secret{s.lines[i].value}, true
		}
	}
	return Secret{}, false
}

// Names returns the names of all secrets, sorted.
func (s *Secrets) Names() []string {
	var names []string
	for _, l := range s.lines {
		if l.name != "" && !slices.Contains(names, l.name) {
			names = append(names, l.name)
		}
	}
	slices.Sort(names)
	return names
}

// Set puts a secret in place of the one of that name, or at the end. Comments
// and the order of the rest stay.
func (s *Secrets) Set(name string, value Secret) error {
	if !SecretName(name) {
		return fmt.Errorf("%q is not a name for a secret (want letters, digits and _)", name)
	}
	if strings.ContainsRune(value.value, 0) {
		return fmt.Errorf("the value of %s holds a NUL byte", name)
	}
	line := secretLine{raw: name + "=" + quote(value.value), name: name, value: value.value}
	s.lines = slices.DeleteFunc(s.lines, func(l secretLine) bool { return l.name == name && l != s.lines[s.index(name)] })
	if i := s.index(name); i >= 0 {
		s.lines[i] = line
	} else {
		s.lines = append(s.lines, line)
	}
	return nil
}

// Unset takes a secret out and reports whether there was one.
func (s *Secrets) Unset(name string) bool {
	n := len(s.lines)
	s.lines = slices.DeleteFunc(s.lines, func(l secretLine) bool { return l.name == name })
	return len(s.lines) < n
}

func (s *Secrets) index(name string) int {
	return slices.IndexFunc(s.lines, func(l secretLine) bool { return l.name == name })
}

// quote writes a value so that it reads back the same here and in a shell.
func quote(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r == '_' || r == '-' || r == '.' || r == ':' || r == '/' || r == '+' || r == '@' || r == ',' ||
			'0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z')
	}) {
		return s
	}
	if !strings.ContainsAny(s, "'\n") {
		return "'" + s + "'"
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`, "$", `\$`).Replace(s) + `"`
}

// Save writes the .env of a profile's folder, 0600, whole or not at all.
func (s *Secrets) Save(dir string) error {
	var b bytes.Buffer
	for _, l := range s.lines {
		b.WriteString(l.raw)
		b.WriteByte('\n')
	}
	return replaceFile(filepath.Join(dir, SecretsFile), b.Bytes())
}

// replaceFile writes a file of a profile, 0600, whole or not at all.
func replaceFile(path string, b []byte) error {
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer root.Close()
	return agents.Replace(root, filepath.Base(path), b)
}
