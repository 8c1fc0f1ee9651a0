package certificate

import (
	"bytes"
	"crypto/md5" // what a PDF says of embedded files; nothing rests on it
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image"
	"slices"
	"strings"
	"unicode/utf16"

	"rsc.io/qr"
)

func hexOf(b []byte) string { return hex.EncodeToString(b) }

// Certificate is one that was made, and not signed yet.
type Certificate struct {
	Number string
	// PDF is the file. Where the Issue names a signer, it has room for the signature, and is
	// whole only once Sign has filled it.
	PDF []byte

	proof    proof
	files    []attachment
	parts    []part
	signs    bool
	from, to int // the signature's value with its brackets
}

// Make verifies the input's receipt under the input's policy and prints what came of it.
// ErrNotProved: it does not hold. ErrInput: the input is none.
func Make(in Input) (*Certificate, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	if len(in.Document) > MaxDocument {
		return nil, fmt.Errorf("%w: a document of more than %d bytes is not embedded", ErrInput, MaxDocument)
	}
	if in.Signer != nil && in.Signer.Dated && in.Roots == nil {
		return nil, fmt.Errorf("%w: a dated signature needs the roots of its authority in the file", ErrInput)
	}
	p, err := in.prove()
	if err != nil {
		return nil, err
	}
	logo, err := openLogo(in.Logo)
	if err != nil {
		return nil, err
	}
	files, err := in.files(p)
	if err != nil {
		return nil, err
	}
	made := &Certificate{Number: in.number(files), proof: p, files: files}
	var code *qr.Code
	if in.VerifyURL != "" {
		if code, err = qr.Encode(in.VerifyURL+"#certificate="+made.Number, qr.M); err != nil {
			return nil, fmt.Errorf("%w: the verify page's URL fits into no code", ErrInput)
		}
	}
	c := &composer{printer: newPrinter(), in: in, proof: p, number: made.Number, files: files, said: map[string]bool{}}
	c.front(code, logo)
	c.body()
	c.frame()
	w := &writer{file: newFile(), composer: c, catalog: 1}
	w.write(logo)
	made.PDF, made.parts, made.signs = w.end(w.catalog), w.parts, w.field != 0
	if made.signs {
		made.frame(w.frameAt)
	}
	return made, nil
}

// writer puts the composed pages into a file.
type writer struct {
	*file
	*composer
	catalog, pagesNumber, font, colours, meta, logoNumber, field int
	specs                                                        []int
	resources                                                    string
	frameAt                                                      int // of the signature's ByteRange
}

func (w *writer) write(logo *image.RGBA) {
	w.mark(sayPartHead, nil)
	w.catalog, w.pagesNumber, w.font, w.colours, w.meta = w.reserve(), w.reserve(), w.reserve(), w.reserve(), w.reserve()
	if logo != nil {
		w.logoNumber = w.reserve()
	}
	if w.in.Signer != nil {
		w.field = w.reserve()
	}
	pages := make([]int, len(w.pages))
	for i := range pages {
		pages[i] = w.reserve()
	}
	for _, f := range w.files {
		w.specs = append(w.specs, w.embed(f))
	}
	w.writeCatalog(pages)
	w.writePages(pages)
	w.mark(sayPartColour, nil)
	w.stream(w.colours, "/N 3", sRGB)
	w.mark(sayPartMeta, nil)
	w.stream(w.meta, "/Type/Metadata/Subtype/XML", w.xmp())
	if logo != nil {
		w.mark(sayPartLogo, nil)
		w.stream(w.logoNumber, fmt.Sprintf("/Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace/DeviceRGB/BitsPerComponent 8", logo.Bounds().Dx(), logo.Bounds().Dy()), pixels(logo))
	}
	w.mark(sayPartFont, nil)
	w.writeFont()
	if w.field != 0 {
		w.writeField(pages[0])
	}
}

// embed writes an embedded file and what names it, and returns that one's number.
func (w *writer) embed(f attachment) int {
	w.mark(sayPartEmbedded, f.name)
	data, spec := w.reserve(), w.reserve()
	sum := md5.Sum(f.data)
	w.stream(data, fmt.Sprintf("/Type/EmbeddedFile/Subtype/%s/Params<</Size %d/ModDate%s/CheckSum<%x>>>", strings.ReplaceAll(f.media, "/", "#2F"), len(f.data), literal(w.pdfTime()), sum), f.data)
	w.object(spec, "<</Type/Filespec/F%s/UF%s/AFRelationship/%s/Desc%s/EF<</F %d 0 R/UF %d 0 R>>>>",
		literal(f.name), literal(f.name), f.relation, literal(f.about.en), data, data)
	return spec
}

func (w *writer) pdfTime() string { return w.in.Issued.Format("D:20060102150405") + "+00'00'" }

func (w *writer) writeCatalog(pages []int) {
	w.mark(sayPartHead, nil)
	var names, specs strings.Builder
	order := sortedNames(w.files)
	for _, i := range order {
		fmt.Fprintf(&names, "%s %d 0 R ", literal(w.files[i].name), w.specs[i])
	}
	for _, s := range w.specs {
		fmt.Fprintf(&specs, "%d 0 R ", s)
	}
	lang := map[Language]string{English: "en", Chinese: "zh-CN", Both: "zh-CN"}[w.in.Language]
	form := ""
	if w.field != 0 {
		form = fmt.Sprintf("/AcroForm<</Fields[%d 0 R]/SigFlags 3>>", w.field)
	}
	w.object(w.catalog, "<</Type/Catalog/Version/1.7/Pages %d 0 R/Lang(%s)/Metadata %d 0 R/MarkInfo<</Marked false>>/ViewerPreferences<</DisplayDocTitle true>>"+
		"/OutputIntents[<</Type/OutputIntent/S/GTS_PDFA1/OutputConditionIdentifier(sRGB IEC61966-2.1)/Info(sRGB IEC61966-2.1)/DestOutputProfile %d 0 R>>]"+
		"/Names<</EmbeddedFiles<</Names[%s]>>>>/AF[%s]%s>>",
		w.pagesNumber, lang, w.meta, w.colours, names.String(), specs.String(), form)
	var kids strings.Builder
	for _, p := range pages {
		fmt.Fprintf(&kids, "%d 0 R ", p)
	}
	images := "" // each page has resources of its own: ISO 19005-3 §6.2.2 wants no inherited ones
	if w.logoNumber != 0 {
		images = fmt.Sprintf("/XObject<</Logo %d 0 R>>", w.logoNumber)
	}
	w.object(w.pagesNumber, "<</Type/Pages/Count %d/Kids[%s]/MediaBox[0 0 %s %s]>>", len(pages), kids.String(), milli(pageWidth), milli(pageHeight))
	w.resources = fmt.Sprintf("<</Font<</F %d 0 R>>%s>>", w.font, images)
}

func (w *writer) writePages(pages []int) {
	for i, number := range pages {
		w.mark(sayPartPage, i+1)
		content := w.reserve()
		annotations := ""
		if i == 0 && w.field != 0 {
			annotations = fmt.Sprintf("/Annots[%d 0 R]", w.field)
		}
		w.object(number, "<</Type/Page/Parent %d 0 R/Resources%s/Contents %d 0 R%s>>", w.pagesNumber, w.resources, content, annotations)
		w.stream(content, "", w.pages[i].Bytes())
	}
}

// writeFont writes the characters that are used, in the order of their codes.
func (w *writer) writeFont() {
	gids := []int{0}
	var widths, map1 bytes.Buffer
	for _, r := range w.runes {
		g := sans.glyph(r)
		gids = append(gids, g)
		fmt.Fprintf(&widths, "%d ", sans.advance(g))
	}
	subset := sans.subset(gids)
	sum := sha256.Sum256(subset)
	tag := make([]byte, 6)
	for i := range tag {
		tag[i] = 'A' + sum[i]%26
	}
	name := string(tag) + "+WenQuanYiMicroHei"
	for from := 0; from < len(w.runes); from += 100 { // the most that one block may have
		block := w.runes[from:min(from+100, len(w.runes))]
		fmt.Fprintf(&map1, "%d beginbfchar\n", len(block))
		for i, r := range block {
			fmt.Fprintf(&map1, "<%04X> <%s>\n", from+i+1, utf16Hex(r))
		}
		map1.WriteString("endbfchar\n")
	}
	descendant, descriptor, program, toUnicode := w.reserve(), w.reserve(), w.reserve(), w.reserve()
	w.object(w.font, "<</Type/Font/Subtype/Type0/BaseFont/%s/Encoding/Identity-H/DescendantFonts[%d 0 R]/ToUnicode %d 0 R>>", name, descendant, toUnicode)
	w.object(descendant, "<</Type/Font/Subtype/CIDFontType2/BaseFont/%s/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>/FontDescriptor %d 0 R/CIDToGIDMap/Identity/DW 1000/W[0[%d %s]]>>",
		name, descriptor, sans.advance(0), strings.TrimRight(widths.String(), " "))
	head, hhea := sans.tables["head"], sans.tables["hhea"]
	unit := func(b []byte) int { return int(int16(be.Uint16(b))) * 1000 / sans.em }
	w.object(descriptor, "<</Type/FontDescriptor/FontName/%s/Flags 4/FontBBox[%d %d %d %d]/ItalicAngle 0/Ascent %d/Descent %d/CapHeight 714/StemV 80/FontFile2 %d 0 R>>",
		name, unit(head[36:]), unit(head[38:]), unit(head[40:]), unit(head[42:]), unit(hhea[4:]), unit(hhea[6:]), program)
	w.stream(program, fmt.Sprintf("/Length1 %d", len(subset)), subset)
	w.stream(toUnicode, "", []byte("/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n/CIDSystemInfo<</Registry(Adobe)/Ordering(UCS)/Supplement 0>> def\n/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n"+map1.String()+"endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend"))
}

// xmp is the metadata (ISO 19005-3 §6.6): what the file is, and nothing that a caller wrote.
func (w *writer) xmp() []byte {
	title := strings.Join(w.each(w.title()), " / ") + " " + w.number
	when := w.in.Issued.Format("2006-01-02T15:04:05+00:00")
	return fmt.Appendf(nil, `<?xpacket begin="%s" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/">
   <pdfaid:part>3</pdfaid:part>
   <pdfaid:conformance>B</pdfaid:conformance>
   <dc:format>application/pdf</dc:format>
   <dc:title><rdf:Alt><rdf:li xml:lang="x-default">%s</rdf:li></rdf:Alt></dc:title>
   <dc:identifier>%s</dc:identifier>
   <xmp:CreatorTool>Muniment</xmp:CreatorTool>
   <xmp:CreateDate>%s</xmp:CreateDate>
   <xmp:ModifyDate>%s</xmp:ModifyDate>
   <xmp:MetadataDate>%s</xmp:MetadataDate>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>`, "\ufeff", title, w.number, when, when, when)
}

// writeField writes the signature's field, which takes no room on paper, and its frame.
func (w *writer) writeField(page int) {
	w.mark(sayPartSigned, nil)
	value := w.reserve()
	w.object(w.field, "<</Type/Annot/Subtype/Widget/FT/Sig/T(Signature)/F 132/Rect[0 0 0 0]/P %d 0 R/V %d 0 R>>", page, value)
	w.offsets[value-1] = w.Len()
	fmt.Fprintf(w.file, "%d 0 obj\n<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached/Name%s/M%s", value, unicodeString(w.in.Signer.Subject), literal(w.pdfTime()))
	w.frameAt = w.Len()
	fmt.Fprintf(w.file, "/ByteRange[%*s]/Contents<", rangeWidth, "")
	w.Write(bytes.Repeat([]byte("0"), 2*reserved))
	w.WriteString(">>>\nendobj\n")
}

// rangeWidth is room for the four numbers of a ByteRange.
const rangeWidth = 48

// frame says in the file what the signature is over: all but its own value.
func (c *Certificate) frame(at int) {
	const before = len("/ByteRange[") + rangeWidth + len("]/Contents")
	c.from = at + before
	c.to = c.from + 2*reserved + len("<>")
	copy(c.PDF[at+len("/ByteRange["):], fmt.Sprintf("0 %d %d %d", c.from, c.to, len(c.PDF)-c.to))
}

func utf16Hex(r rune) string {
	var out []byte
	for _, u := range utf16.Encode([]rune{r}) {
		out = fmt.Appendf(out, "%04X", u)
	}
	return string(out)
}

// sortedNames is the order in which a PDF's tree of names wants them.
func sortedNames(files []attachment) []int {
	order := make([]int, len(files))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(files[a].name, files[b].name) })
	return order
}
