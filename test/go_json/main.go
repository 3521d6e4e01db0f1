// What Go, and so Ollama, reads from request bodies: JSON, or with the argument "form" a
// multipart/form-data, whose Content-Type is its first line. Input: for each body its size in
// decimal, a newline, its bytes. Output: one line for each, in the form that json_traps_test.cc and
// multipart_test.cc in src/wire compare with drover's own reading.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"mime"
	"mime/multipart"
	"os"
	"strconv"
	"strings"
)

// The fields that drover reads, with the names and kinds that Ollama's types give them. What has
// several shapes there stays raw.
type request struct {
	Model         string          `json:"model"`
	Name          string          `json:"name"`
	Stream        *bool           `json:"stream"`
	KeepAlive     json.RawMessage `json:"keep_alive"`
	Options       map[string]any  `json:"options"`
	StreamOptions *struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	Prompt   json.RawMessage   `json:"prompt"`
	Messages []json.RawMessage `json:"messages"`
}

func main() {
	in := bufio.NewReader(os.Stdin)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	say := describe
	if len(os.Args) > 1 && os.Args[1] == "form" {
		say = describeForm
	}
	for {
		size, err := in.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			log.Fatal(err)
		}
		n, err := strconv.Atoi(strings.TrimSpace(size))
		if err != nil {
			log.Fatal(err)
		}
		body := make([]byte, n)
		if _, err := io.ReadFull(in, body); err != nil {
			log.Fatal(err)
		}
		fmt.Fprintln(out, say(body))
	}
}

// As gin binds a body: the first value of the stream, whatever follows it.
func describe(body []byte) string {
	var r request
	err := json.NewDecoder(bytes.NewReader(body)).Decode(&r)
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		return "type"
	}
	if err != nil {
		return "syntax"
	}
	model := r.Model
	if model == "" {
		model = r.Name
	}
	stream := "none"
	if r.Stream != nil {
		stream = strconv.FormatBool(*r.Stream)
	}
	usage := r.StreamOptions != nil && r.StreamOptions.IncludeUsage
	prompt := string(r.Prompt)
	empty := (prompt == "" || prompt == "null" || prompt == `""`) && len(r.Messages) == 0
	return fmt.Sprintf("ok model=%x stream=%s usage=%t num_ctx=%d empty=%t",
		model, stream, usage, numCtx(r.Options), empty)
}

// As net/http reads a form: how many models it names, and the first of them.
func describeForm(input []byte) string {
	contentType, body, _ := bytes.Cut(input, []byte("\n"))
	_, parameters, err := mime.ParseMediaType(string(contentType))
	if err != nil {
		return "refused"
	}
	form, err := multipart.NewReader(bytes.NewReader(body), parameters["boundary"]).ReadForm(1 << 20)
	if err != nil {
		return "refused"
	}
	models := form.Value["model"]
	if len(models) == 0 {
		return "ok 0"
	}
	return fmt.Sprintf("ok %d %x", len(models), models[0])
}

// As Ollama sets an option of a whole kind: a number loses its fraction. Zero for what is no number.
// What is less than any context is the least, and beyond 2^53 nobody counts.
func numCtx(options map[string]any) int64 {
	number, ok := options["num_ctx"].(float64)
	switch {
	case !ok:
		return 0
	case number < 1:
		return 1
	case number > 1<<53:
		return 1 << 53
	}
	return int64(number)
}
