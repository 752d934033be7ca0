package runtime

import (
	"testing"
	"time"

	"github.com/hermesboard/hermes/agents"
)

func TestStreamReadsOurOwn(t *testing.T) {
	log, _, sum := feed(t, "model", `{"type":"text","text":"Let me see."}
{"type":"call","text":"{\"path\":\"a\"}","name":"read_file"}
{"type":"result","text":"no such file","name":"read_file","refused":true}
{"type":"wait","text":"the model answered 429: no","class":"rate_limited","retry_ms":2000}
{"type":"end","text":"the model answered 429: no","class":"rate_limited","retry_ms":600000,"turns":1,"tokens":{"input":700,"output":20,"cache_read":300}}
`, 7)
	want := `Let me see.
→ read_file {"path":"a"}
← error: no such file
(the model answered 429: no; it tries again)
(the model answered 429: no)
`
	if log != want {
		t.Errorf("got %q, want %q", log, want)
	}
	if s := (Summary{Tokens: agents.Tokens{Input: 700, Output: 20, CacheRead: 300}, Turns: 1, Class: RateLimited, Detail: "the model answered 429: no", Retry: 10 * time.Minute}); sum != s {
		t.Errorf("got %+v, want %+v", sum, s)
	}
}
