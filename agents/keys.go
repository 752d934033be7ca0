package agents

import (
	"reflect"
	"slices"
	"strings"
)

// Kinds are the runtimes there are.
var Kinds = []string{"builtin", "claude", "codex", "command", "hermes", "model", "opencode"}

// key is what is known of one key of a configuration.
type key struct {
	about string
	one   []string // the words it may be; nil = any
	kinds string   // the runtimes that honour it, separated by spaces; empty = all
}

// The groups of runtimes that several keys are for.
const (
	programs = "claude codex opencode hermes" // command line programs of others
	models   = "model " + programs
)

var roles = []string{"worker", "orchestrator", "reviewer"}

// keys describes every key there is; a test keeps it complete. What is not
// about a runtime has no kinds: the sandbox says itself what it cannot do.
var keys = map[string]key{
	"description":  {about: "What this agent is for, in a line."},
	"role":         {about: "What it may do on the board; worker if left out.", one: roles},
	"instructions": {about: "What it is told besides its task: the name of an .md or .txt file in its folder, or the text itself. SOUL.md, if there is one, if left out.", kinds: models},

	"runtime":              {about: "How it is launched."},
	"runtime.kind":         {about: "Which runtime.", one: Kinds},
	"runtime.name":         {about: "Which builtin agent.", one: builtins, kinds: "builtin"},
	"runtime.sources":      {about: "The folder a builtin agent reads, given to it read-only.", kinds: "builtin"},
	"runtime.command":      {about: "The program: for command its argv, with {workspace} {inputs} {outputs} {task} {run} {board} {socket} and {hermes} replaced; for others the path of their command line program.", kinds: "command " + programs},
	"runtime.version":      {about: "The only version of the program to be started; the one that was tested if left out.", kinds: programs},
	"runtime.model":        {about: "The model, as its API names it.", kinds: "command " + models},
	"runtime.small_model":  {about: "The model for small side jobs such as titles; the model itself if left out.", kinds: "claude opencode"},
	"runtime.tools":        {about: "Tools of the runtime's own that it may use, besides those of its board. None if left out.", kinds: models},
	"runtime.conversation": {about: "keep (default): a later attempt goes on in the same conversation; fresh: it never does.", one: []string{"keep", "fresh"}, kinds: models},
	"runtime.max_turns":    {about: "Answers of the model an attempt may take; 0 = no limit.", kinds: "claude hermes model"},

	"model_endpoint":                    {about: "How it reaches its model.", kinds: "command " + models},
	"model_endpoint.kind":               {about: "The API.", one: []string{Anthropic, OpenAIResponses, OpenAIChat}},
	"model_endpoint.upstream":           {about: "Base URL of the provider, without /v1; the API's maker if left out."},
	"model_endpoint.allow":              {about: "Requests let through, each a method and an exact path; what the API needs if left out."},
	"model_endpoint.credential":         {about: "The provider's key, by name. It never enters the sandbox."},
	"model_endpoint.credential.env":     {about: "The name of a variable in the profile's .env."},
	"model_endpoint.credential.file":    {about: "A file that holds the key and nothing else, absolute or below the profile."},
	"model_endpoint.prices":             {about: "What models cost, in millionths of the home's currency for a million tokens."},
	"model_endpoint.prices.model":       {about: "The model, as its API names it; * at the end stands for any rest."},
	"model_endpoint.prices.input":       {about: "Tokens read."},
	"model_endpoint.prices.output":      {about: "Tokens written."},
	"model_endpoint.prices.cache_read":  {about: "Tokens read from the provider's cache; as input if left out."},
	"model_endpoint.prices.cache_write": {about: "Tokens put into the provider's cache; as input if left out."},
	"model_endpoint.prices.as_of":       {about: "The day the prices were looked up, as in 2026-11-22."},

	"terminal":                     {about: "Where it runs."},
	"terminal.backend":             {about: "The sandbox; the profile's, then bubblewrap, if left out."},
	"terminal.mounts":              {about: "Host paths shown read-only under the same path."},
	"terminal.env_passthrough":     {about: "Names of variables of the host that are passed on."},
	"terminal.env":                 {about: "Variables set."},
	"terminal.network":             {about: "none (default), proxy or full.", one: []string{"none", "proxy", "full"}},
	"terminal.allow_hosts":         {about: "Hosts that network proxy lets through: host, host:port or *.domain."},
	"terminal.container_memory":    {about: "Memory of a whole run, in MiB; 0 = no limit."},
	"terminal.container_cpu":       {about: "Processor time of a whole run, in cores; 0 = no limit."},
	"terminal.container_disk":      {about: "What a run may write, in MiB; 0 = no limit."},
	"terminal.container_processes": {about: "Processes of a whole run; 0 = no limit."},
	"terminal.docker_image":        {about: "Image of docker and podman; for runc and gvisor an archive or a folder."},
	"terminal.singularity_image":   {about: "Image of singularity and apptainer."},
	"terminal.ssh_host":            {about: "Host of ssh."},
	"terminal.ssh_port":            {about: "Port of ssh."},
	"terminal.ssh_user":            {about: "User of ssh."},
	"terminal.ssh_key":             {about: "File with the private key of ssh."},
	"terminal.ssh_known_hosts":     {about: "File with the hosts that ssh trusts."},
	"terminal.requires":            {about: "Capabilities the sandbox must enforce; see hermes sandbox list."},
}

// honoured reports whether a runtime makes use of a key.
func (k key) honoured(kind string) bool {
	return k.kinds == "" || slices.Contains(strings.Fields(k.kinds), kind)
}

// fields calls visit for every key of a struct, parents first; the elements of
// lists have no keys of their own here.
func fields(v reflect.Value, prefix string, visit func(path string, v reflect.Value)) {
	for i := range v.NumField() {
		name := keyName(v.Type().Field(i))
		if name == "" {
			continue
		}
		f := v.Field(i)
		visit(prefix+name, f)
		if f.Kind() == reflect.Pointer {
			f = f.Elem()
		}
		if f.Kind() == reflect.Struct {
			fields(f, prefix+name+".", visit)
		}
	}
}

// keyName is a field's name in config.yaml; empty if it is not written there.
func keyName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	if name == "-" {
		return ""
	}
	return name
}

// unhonoured names the keys that are set although a runtime makes no use of them.
func (a *Agent) unhonoured() (names []string) {
	fields(reflect.ValueOf(a).Elem(), "", func(path string, v reflect.Value) {
		if !v.IsZero() && !keys[path].honoured(a.Runtime.Kind) {
			names = append(names, path)
		}
	})
	return names
}

// Honours reports whether the agent's runtime makes use of a key, as
// config.yaml has it: runtime.max_turns.
func (a *Agent) Honours(path string) bool { return keys[path].honoured(a.Runtime.Kind) }
