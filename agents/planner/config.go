package planner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/goccy/go-yaml"
)

// ConfigFile is the name of the configuration in a profile's folder.
const ConfigFile = "planner.yaml"

// Config says which program plans.
type Config struct {
	Command []string `yaml:"command"`         // argv; never passed through a shell
	Timeout string   `yaml:"timeout"`         // as 5m, which is the default
	Env     []string `yaml:"env_passthrough"` // names of variables passed on
}

const defaultTimeout = 5 * time.Minute

// ErrNone says that a profile has no planner.
var ErrNone = errors.New("this profile has no planner")

// Load reads planner.yaml in a profile's folder. Without one it returns ErrNone.
func Load(profile string) (Config, error) {
	var c Config
	root, err := os.OpenRoot(profile)
	if err != nil {
		return c, err
	}
	defer root.Close()
	b, err := root.ReadFile(ConfigFile)
	if errors.Is(err, fs.ErrNotExist) {
		return c, fmt.Errorf("%w (no %s in %s)", ErrNone, ConfigFile, profile)
	} else if err != nil {
		return c, err
	}
	if err := yaml.UnmarshalWithOptions(b, &c, yaml.Strict()); err != nil {
		return c, fmt.Errorf("%s: %w", ConfigFile, err)
	}
	return c, c.validate()
}

func (c Config) validate() error {
	var errs []error
	if len(c.Command) == 0 || c.Command[0] == "" {
		errs = append(errs, fmt.Errorf("%s: command is missing", ConfigFile))
	}
	if _, err := c.timeout(); err != nil {
		errs = append(errs, fmt.Errorf("%s: timeout: %w", ConfigFile, err))
	}
	return errors.Join(errs...)
}

func (c Config) timeout() (time.Duration, error) {
	if c.Timeout == "" {
		return defaultTimeout, nil
	}
	d, err := time.ParseDuration(c.Timeout)
	if err == nil && (d <= 0 || d > time.Hour) {
		err = fmt.Errorf("%v is not between 0 and 1h", d)
	}
	return d, err
}
