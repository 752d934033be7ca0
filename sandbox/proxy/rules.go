package proxy

import (
	"fmt"
	"strconv"
	"strings"
)

// rules are the hosts that may be reached.
type rules []rule

type rule struct {
	host string // without the leading "*." of a wildcard
	wild bool   // every name below host, not host itself
	port int
}

// CheckAllow reports the first of the entries that [Options.Allow] cannot have.
func CheckAllow(entries []string) error {
	_, err := parseRules(entries)
	return err
}

func parseRules(entries []string) (rules, error) {
	var all rules
	for _, entry := range entries {
		r, err := parseRule(entry)
		if err != nil {
			return nil, fmt.Errorf("allowed host %q: %w", entry, err)
		}
		all = append(all, r)
	}
	return all, nil
}

func parseRule(entry string) (rule, error) {
	r := rule{port: httpsPort}
	host, port, given := strings.Cut(entry, ":")
	if given {
		var err error
		if r.port, err = parsePort(port); err != nil {
			return rule{}, err
		}
	}
	r.host, r.wild = strings.CutPrefix(host, "*.")
	var err error
	r.host, err = parseName(r.host)
	return r, err
}

func (all rules) allow(t target) bool {
	for _, r := range all {
		if r.port == t.port && (!r.wild && t.host == r.host || r.wild && strings.HasSuffix(t.host, "."+r.host)) {
			return true
		}
	}
	return false
}

// target is whom a request is for.
type target struct {
	host string // a name as parseName returns it
	port int
}

func (t target) String() string { return t.host + ":" + strconv.Itoa(t.port) }

const (
	httpPort  = 80
	httpsPort = 443

	maxName  = 253
	maxLabel = 63
)

// parseTarget reads the authority of a request. There is one reader of
// authorities; what it returns is what is compared, resolved and dialled.
// defaultPort 0 means that a port must be given.
func parseTarget(authority string, defaultPort int) (target, error) {
	host, port, given := strings.Cut(authority, ":")
	t := target{port: defaultPort}
	var err error
	if given {
		if t.port, err = parsePort(port); err != nil {
			return target{}, err
		}
	} else if defaultPort == 0 {
		return target{}, refuse("no port is given")
	}
	t.host, err = parseName(host)
	return t, err
}

// parsePort takes the one spelling of a port that has no second meaning.
func parsePort(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 || s != strconv.FormatUint(n, 10) {
		return 0, refuse("the port is not a number from 1 to 65535")
	}
	return int(n), nil
}

// parseName returns the name in lower case. Labels are letters, digits and
// hyphens. The last one begins with a letter, so that no spelling of an
// address, decimal, octal, hexadecimal or short, is a name.
func parseName(s string) (string, error) {
	if len(s) > maxName {
		return "", refuse("the name is too long")
	}
	labels := strings.Split(s, ".")
	for _, label := range labels {
		if err := checkLabel(label); err != nil {
			return "", err
		}
	}
	if first := labels[len(labels)-1][0]; '0' <= first && first <= '9' {
		return "", refuse("an address is not a name")
	}
	return strings.ToLower(s), nil
}

func checkLabel(label string) error {
	if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
		return refuse("the name has an empty, overlong or hyphenated part")
	}
	for i := range len(label) {
		switch c := label[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-':
		default:
			return refuse("the name has a character that names do not have")
		}
	}
	return nil
}
