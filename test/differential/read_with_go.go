// What Go's net/http, which Ollama stands on, makes of requests: one in hex a line on standard
// input, one JSON object a line on standard output. As in read_messages.cc a byte of a text is the
// character of its number.
package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
)

type message struct {
	Outcome  string              `json:"outcome"`
	Why      string              `json:"why"`
	Method   string              `json:"method"`
	Target   string              `json:"target"`
	Host     string              `json:"host"`
	Fields   map[string][]string `json:"fields"`
	Body     string              `json:"body"`
	Consumed int                 `json:"consumed"`
}

func latin1(text []byte) string {
	runes := make([]rune, len(text))
	for i, b := range text {
		runes[i] = rune(b)
	}
	return string(runes)
}

func read(input []byte) message {
	source := bytes.NewReader(input)
	buffered := bufio.NewReader(source)
	request, err := http.ReadRequest(buffered)
	if err != nil {
		return message{Outcome: "refused", Why: err.Error()}
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return message{Outcome: "refused", Why: err.Error()}
	}
	fields := map[string][]string{}
	for name, values := range request.Header {
		for _, value := range values {
			fields[name] = append(fields[name], latin1([]byte(value)))
		}
	}
	return message{
		Outcome: "complete", Method: request.Method, Target: request.RequestURI,
		Host: request.Host, Fields: fields, Body: latin1(body),
		Consumed: len(input) - source.Len() - buffered.Buffered(),
	}
}

func main() {
	lines := bufio.NewReader(os.Stdin)
	answers := json.NewEncoder(os.Stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		input, err := hex.DecodeString(string(bytes.TrimSpace(line)))
		if err != nil {
			os.Stderr.WriteString("read_with_go: not hex\n")
			os.Exit(2)
		}
		if err := answers.Encode(read(input)); err != nil {
			os.Exit(1)
		}
	}
}
