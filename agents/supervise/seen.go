package supervise

import (
	"bytes"
	"io"
	"net/http"
	"time"
)

// Asked is a request that an agent made to its model endpoint, and how it was
// answered.
type Asked struct {
	Method, Path string
	Body         []byte // at most maxSeen of it
	Status       int
	Took         time.Duration // to the end of the answer
}

// maxSeen is how much of a request is shown to who looks.
const maxSeen = 8 << 20

// seen tells of every request that next answers.
func seen(tell func(Asked), next http.Handler) http.Handler {
	if tell == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		body, err := io.ReadAll(io.LimitReader(r.Body, maxSeen))
		if err != nil {
			http.Error(w, "hermes: the request was cut off", http.StatusBadRequest)
			return
		}
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(body), r.Body), r.Body}
		answer := &observed{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(answer, r)
		tell(Asked{Method: r.Method, Path: r.URL.Path, Body: body, Status: answer.status, Took: time.Since(began)})
	})
}

// observed knows the status of an answer.
type observed struct {
	http.ResponseWriter
	status int
}

func (o *observed) WriteHeader(status int) {
	o.status = status
	o.ResponseWriter.WriteHeader(status)
}

// Flush sends on what was written.
func (o *observed) Flush() {
	if f, ok := o.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// Unwrap lets deadlines through.
func (o *observed) Unwrap() http.ResponseWriter { return o.ResponseWriter }
