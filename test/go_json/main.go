// What Go's encoding/json, and so Ollama, reads from request bodies. Input: for each body its size
// in decimal, a newline, its bytes. Output: one line for each, in the form that
// src/wire/json_traps_test.cc compares with drover's own reading.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
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
		fmt.Fprintln(out, describe(body))
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
