// Auditor verifies what an appliance shows of its log with code that nobody here wrote: golang.org/x/mod/sumdb/note and
// sumdb/tlog. What is written here takes the texts apart and asks them; every check is theirs.
//
//	auditor note VKEY NOTE                       a signed checkpoint
//	auditor cosigned VKEY WITNESS NOTE           the same, and that this witness cosigned it
//	auditor inclusion VKEY PROOF                 a tlog-proof whose leaf came along
//	auditor consistency VKEY OLD PROOF           that the log only grew since the note OLD
//	auditor tiles VKEY URL [PATH BYTE]           every leaf of the log, entries included, from its tiles; PATH's byte altered
//
// It ends with 0 and a line that begins with "ok", or with 1 and the reason.
package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	if len(os.Args) < 4 {
		fail(errors.New("usage: auditor note|cosigned|inclusion|consistency|tiles VKEY ..."))
	}
	verifier, err := note.NewVerifier(os.Args[2])
	if err != nil {
		fail(err)
	}
	args := os.Args[3:]
	switch os.Args[1] {
	case "note":
		var tree tlog.Tree
		if tree, err = open(read(args[0]), verifier); err == nil {
			fmt.Printf("ok size %d root %s\n", tree.N, tree.Hash)
		}
	case "cosigned":
		err = cosigned(verifier, args[0], read(args[1]))
	case "inclusion":
		err = inclusion(verifier, read(args[0]))
	case "consistency":
		err = consistency(verifier, read(args[0]), read(args[1]))
	case "tiles":
		err = tiles(verifier, args)
	default:
		err = errors.New("no such check")
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "refused:", err)
	os.Exit(1)
}

func read(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		fail(err)
	}
	return string(text)
}

// open gives the tree of a signed note whose text is a checkpoint of the verifier's log.
func open(text string, verifiers ...note.Verifier) (tlog.Tree, error) {
	signed, err := note.Open([]byte(text), note.VerifierList(verifiers...))
	if err != nil {
		return tlog.Tree{}, err
	}
	if len(signed.Sigs) != len(verifiers) {
		return tlog.Tree{}, fmt.Errorf("%d of %d signatures verified", len(signed.Sigs), len(verifiers))
	}
	lines := strings.Split(signed.Text, "\n")
	if len(lines) != 4 || lines[0] != verifiers[0].Name() || lines[3] != "" {
		return tlog.Tree{}, errors.New("not a checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// hashes takes lines up to the empty one, and gives what follows it.
func hashes(text string) ([]tlog.Hash, string, error) {
	var found []tlog.Hash
	for {
		line, rest, ok := strings.Cut(text, "\n")
		if !ok {
			return nil, "", errors.New("no empty line")
		}
		if text = rest; line == "" {
			return found, text, nil
		}
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return nil, "", err
		}
		found = append(found, hash)
	}
}

func inclusion(verifier note.Verifier, proof string) error {
	lines := strings.SplitN(proof, "\n", 4)
	if len(lines) != 4 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return errors.New("not a tlog-proof with its leaf")
	}
	leaf, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil {
		return err
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	if err != nil {
		return err
	}
	path, rest, err := hashes(lines[3])
	if err != nil {
		return err
	}
	tree, err := open(rest, verifier)
	if err != nil {
		return err
	}
	if err := tlog.CheckRecord(path, tree.N, tree.Hash, index, tlog.RecordHash(leaf)); err != nil {
		return err
	}
	fmt.Printf("ok leaf %d of %d\n", index, tree.N)
	return nil
}

func consistency(verifier note.Verifier, oldNote, proof string) error {
	old, err := open(oldNote, verifier)
	if err != nil {
		return err
	}
	first, rest, _ := strings.Cut(proof, "\n")
	if first != fmt.Sprintf("old %d", old.N) {
		return errors.New("the proof begins at another size")
	}
	path, rest, err := hashes(rest)
	if err != nil {
		return err
	}
	tree, err := open(rest, verifier)
	if err != nil {
		return err
	}
	if err := tlog.CheckTree(path, tree.N, tree.Hash, old.N, old.Hash); err != nil {
		return err
	}
	fmt.Printf("ok %d begins with %d\n", tree.N, old.N)
	return nil
}

// witness is a note.Verifier for C2SP tlog-cosignature, Ed25519.
type witness struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (w witness) Name() string    { return w.name }
func (w witness) KeyHash() uint32 { return w.hash }
func (w witness) Verify(text, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", binary.BigEndian.Uint64(sig), text)
	return ed25519.Verify(w.key, []byte(message), sig[8:])
}

func cosigned(verifier note.Verifier, vkey, text string) error {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return errors.New("not a verifier key")
	}
	blob, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(blob) != 33 || blob[0] != 4 {
		return errors.New("not the key of a witness")
	}
	id := sha256.Sum256([]byte(parts[0] + "\n" + string(blob)))
	w := witness{parts[0], binary.BigEndian.Uint32(id[:]), ed25519.PublicKey(blob[1:])}
	if fmt.Sprintf("%08x", w.hash) != parts[1] {
		return errors.New("the key ID is not that of the key")
	}
	tree, err := open(text, verifier, w)
	if err == nil {
		fmt.Printf("ok size %d cosigned by %s\n", tree.N, w.name)
	}
	return err
}

// reader fetches tiles of height 8, and can alter one byte of one of them.
type reader struct {
	url, path string
	at        int
}

func (r reader) Height() int                                { return 8 }
func (r reader) SaveTiles(tiles []tlog.Tile, data [][]byte) {}

func (r reader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range tiles {
		data, err := r.get(strings.Replace(tile.Path(), "tile/8/", "tile/", 1))
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

func (r reader) get(path string) ([]byte, error) {
	answer, err := http.Get(r.url + "/" + path)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", path, answer.Status)
	}
	if err == nil && path == r.path {
		body[r.at] ^= 1
	}
	return body, err
}

func tiles(verifier note.Verifier, args []string) error {
	r := reader{url: args[0]}
	if len(args) == 3 {
		r.path = args[1]
		r.at, _ = strconv.Atoi(args[2])
	}
	text, err := r.get("checkpoint")
	if err != nil {
		return err
	}
	tree, err := open(string(text), verifier)
	if err != nil {
		return err
	}
	hashes := tlog.TileHashReader(tree, r)
	// Their reader holds every tile against the tree's root before it gives a hash of it.
	for first := int64(0); first < tree.N; first += 256 {
		width := tree.N - first
		if width > 256 {
			width = 256
		}
		var indexes []int64
		for i := first; i < first+width; i++ {
			indexes = append(indexes, tlog.StoredHashIndex(0, i))
		}
		leaves, err := hashes.ReadHashes(indexes)
		if err != nil {
			return err
		}
		bundle := tlog.Tile{H: 8, L: 0, N: first / 256, W: int(width)}
		data, err := r.get(strings.Replace(bundle.Path(), "tile/8/0/", "tile/entries/", 1))
		if err != nil {
			return err
		}
		for i, leaf := range leaves {
			if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
				return errors.New("a bundle is too short")
			}
			end := 2 + int(binary.BigEndian.Uint16(data))
			if tlog.RecordHash(data[2:end]) != leaf {
				return fmt.Errorf("entry %d is not that of its leaf", first+int64(i))
			}
			data = data[end:]
		}
		if len(data) != 0 {
			return errors.New("a bundle is too long")
		}
	}
	return proofs(tree, hashes)
}

// proofs makes proofs from the tiles with their code, and verifies them.
func proofs(tree tlog.Tree, hashes tlog.HashReader) error {
	for n := int64(1); n < tree.N; n = n*3 + 1 {
		record, err := tlog.ProveRecord(tree.N, n, hashes)
		if err != nil {
			return err
		}
		leaf, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, n)})
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(record, tree.N, tree.Hash, n, leaf[0]); err != nil {
			return err
		}
		old, err := tlog.TreeHash(n, hashes)
		if err != nil {
			return err
		}
		growth, err := tlog.ProveTree(tree.N, n, hashes)
		if err != nil {
			return err
		}
		if err := tlog.CheckTree(growth, tree.N, tree.Hash, n, old); err != nil {
			return err
		}
	}
	fmt.Printf("ok %d leaves\n", tree.N)
	return nil
}
