package bundle

import (
	"fmt"
	"strings"

	"github.com/muniment/muniment/proofs"
)

// A Difference is a way in which a bundle is not what it should be.
type Difference string

// The differences.
const (
	ManifestMalformed  Difference = "manifest-malformed"
	FileUnsafe         Difference = "file-unsafe" // a name that could leave the folder it is unpacked into
	FileTwice          Difference = "file-twice"  // a name that stands twice, or differs in case alone
	FileStray          Difference = "file-stray"  // neither manifest nor deposit names it
	FileMissing        Difference = "file-missing"
	FileDamaged        Difference = "file-damaged" // its bytes are not those that were packed
	FileDiffers        Difference = "file-differs" // its digest is not the manifest's
	PolicyMalformed    Difference = "policy-malformed"
	LineOther          Difference = "line-other"          // a line of the manifest names another deposit's files
	DepositRefused     Difference = "deposit-refused"     // its receipt, or its document, is refused
	DocumentMissing    Difference = "document-missing"    // the depository held it
	CertificateRefused Difference = "certificate-refused" // it was altered, or is none
	CertificateMissing Difference = "certificate-missing" // every deposit should have one
	CertificateOther   Difference = "certificate-other"   // it is of another deposit
	NumberOther        Difference = "number-other"        // manifest and receipt
	ContractOther      Difference = "contract-other"      // manifest and receipt
	OriginOther        Difference = "origin-other"        // manifest and receipt
	TenantOther        Difference = "tenant-other"        // two receipts
	PrevOther          Difference = "prev-other"          // a receipt, and the leaf of the one before
	OrderOther         Difference = "order-other"         // numbers, and places in the log
	MissingOther       Difference = "missing-manifested"  // what is missing, and what the manifest says is
)

// A Finding is a difference, and where it is.
type Finding struct {
	What Difference
	File string
	Args []string // what the sentence says beside the file

	says func(proofs.Language) string // of a receipt or a certificate that is refused
}

// phrase is one sentence in both languages; %[1]s is the file.
type phrase struct{ en, zh string }

func (p phrase) in(lang proofs.Language, args ...any) string {
	if lang == proofs.Chinese {
		return fmt.Sprintf(p.zh, args...)
	}
	return fmt.Sprintf(p.en, args...)
}

var differences = map[Difference]phrase{
	ManifestMalformed:  {"%[1]s: the list of contents is damaged, or is none.", "%[1]s：目录已损坏，或并非目录。"},
	FileUnsafe:         {"%[1]s: a name that no file of a bundle has; unpacking it could overwrite other files.", "%[1]s：案卷包中不应有这样的文件名；解压可能覆盖其他文件。"},
	FileTwice:          {"%[1]s: the name stands twice.", "%[1]s：该文件名出现两次。"},
	FileStray:          {"%[1]s: this file does not belong to the bundle: its list of contents (manifest.json) does not name it.", "%[1]s：该文件不属于案卷包：目录（manifest.json）中没有它。"},
	FileMissing:        {"%[1]s: the file is missing.", "%[1]s：文件缺失。"},
	FileDamaged:        {"%[1]s: the file is damaged: its bytes are not those that were packed.", "%[1]s：文件已损坏：其字节与打包时不同。"},
	FileDiffers:        {"%[1]s: the file was altered after the bundle was made. Its SHA-256 is %[2]s, the list of contents (manifest.json) says %[3]s.", "%[1]s：案卷包制作之后文件被改动。其 SHA-256 为 %[2]s，目录（manifest.json）所记为 %[3]s。"},
	PolicyMalformed:    {"%[1]s: the policy is damaged, or is none.", "%[1]s：信任策略已损坏，或并非信任策略。"},
	LineOther:          {"%[1]s: the files listed for deposit %[2]s are not its own, or are not in the list.", "%[1]s：目录中为第 %[2]s 次存证所列的文件不属于该次存证，或不在列表中。"},
	DepositRefused:     {"%[1]s: %[2]s", "%[1]s：%[2]s"},
	DocumentMissing:    {"The depository held the document of deposit %[2]s, and it is not in the bundle.", "存证机构持有第 %[2]s 次存证的文件，但案卷包中没有。"},
	CertificateRefused: {"%[1]s: %[2]s", "%[1]s：%[2]s"},
	CertificateMissing: {"There is no certificate of deposit %[2]s, though the list of contents (manifest.json) says that each deposit has one.", "缺少第 %[2]s 次存证的证书，而目录（manifest.json）称每次存证均有证书。"},
	CertificateOther:   {"%[1]s: this certificate is of another deposit: of %[3]s, and not of %[2]s as the receipt beside it.", "%[1]s：该证书属于另一次存证（%[3]s），而其旁的回执属于 %[2]s。"},
	NumberOther:        {"%[1]s: the list of contents (manifest.json) says it is of deposit %[2]s, the receipt says %[3]s.", "%[1]s：目录（manifest.json）称其属于第 %[2]s 次存证，而回执为第 %[3]s 次。"},
	ContractOther:      {"%[1]s: the list of contents (manifest.json) says contract number %[2]s, the receipt says %[3]s.", "%[1]s：目录（manifest.json）所记合同编号为 %[2]s，而回执为 %[3]s。"},
	OriginOther:        {"%[1]s: the list of contents (manifest.json) says it is of the log %[2]s, the receipt says %[3]s.", "%[1]s：目录（manifest.json）称其出自日志 %[2]s，而回执出自 %[3]s。"},
	TenantOther:        {"%[1]s: another depositor's than the receipt before it.", "%[1]s：其存证人与前一份回执不同。"},
	PrevOther:          {"%[1]s: deposit %[2]s does not name the one before it: the chain is broken.", "%[1]s：第 %[2]s 次存证未指明前一次：链条断裂。"},
	OrderOther:         {"%[1]s: deposit %[2]s stands in the log before the one that it follows.", "%[1]s：第 %[2]s 次存证在日志中位于其前一次之前。"},
	MissingOther:       {"%[1]s: what the list of contents says is missing is not what is missing.", "%[1]s：目录所称缺少的内容与实际缺少的不一致。"},
}

var verdicts = map[proofs.Outcome]phrase{
	proofs.Verified:  {"VERIFIED. Every document and receipt in the bundle holds, and the chain of the case has no gap.", "验证通过：案卷包中的每份文件和回执均成立，案卷链条没有缺口。"},
	proofs.Refused:   {"REFUSED. Do not rely on this bundle. Places that do not fit: %d. ", "验证不通过：请勿采信该案卷包。不符之处共 %d 处。"},
	proofs.Undecided: {"UNDECIDED. What is here holds together, but that does not settle the matter. ", "无法判定：现有内容相互一致，但不足以得出结论。"},
}

var (
	sayTest       = phrase{"TEST: no evidential value. The log %s is not a production log.", "测试数据：无证据效力。日志 %s 不是正式日志。"}
	sayFound      = phrase{"Everything is consistent under a policy that came with the bundle; anyone can make such a policy. Compare its fingerprint, %s, with the one that the depository published.", "在随案卷包而来的信任策略下，各项内容相互一致；但任何人都可以制作这样的策略。请将其指纹 %s 与存证机构公布的指纹比对。"}
	sayGaps       = phrase{"The case is not whole: of %d deposits these are missing here: %s.", "案卷不完整：共 %d 次存证，此处缺少第 %s 次。"}
	sayEmpty      = phrase{"There is no deposit in it.", "其中没有任何存证。"}
	sayOpen       = phrase{"Of some deposits the checks do not settle the matter; see each.", "部分存证的检查不足以得出结论，详见各项。"}
	sayWhole      = phrase{"The case of contract number %s: %d deposits, numbered without a gap, each naming the one before it.", "合同编号 %s 的案卷：共 %d 次存证，编号连续，每次均指明前一次。"}
	sayEach       = phrase{"Deposits of the case that verify: %d, with documents: %d.", "案卷中核验通过的存证：%d 次，其中附有文件的：%d 次。"}
	sayPapers     = phrase{"Certificates that are, byte for byte, what the receipts in them give, each of the same entry as the receipt beside it: %d.", "与其内嵌回执所得逐字节一致、且与旁附回执同属一条日志的证书：%d 份。"}
	sayPaperSays  = phrase{"Who signed the certificates, and what they say beside their receipts as their issuer's word: the status of the deposit, the time of issue, logo and statement.", "证书由谁签名，以及证书在回执之外的记载，系出具者的陈述：存证状态、出具时间、标识与声明。"}
	sayPaperUnder = phrase{"What the policy says under which certificates in the bundle were made: it is another than yours, and they were judged by yours here.", "案卷包中部分证书所依据的信任策略的内容：它与您的策略不同；此处按您的策略判断。"}
	sayAfter      = phrase{"That nothing was deposited for this contract after the last deposit in the bundle.", "在案卷包最后一次存证之后，该合同没有其他存证。"}
	sayMissing    = phrase{"What the missing deposits were. The depository erases lawfully, and a bundle can also be cut short.", "缺少的存证内容为何。存证机构可能已依法删除，案卷包也可能被截短。"}
	sayClaims     = phrase{"What each receipt by itself does not prove: see each deposit.", "每份回执自身未证明的内容：详见各次存证。"}
	sayUnsigned   = phrase{"Who signed: the policy, and with it the keys, came with the bundle.", "签名者是谁：信任策略及其中的密钥随案卷包而来。"}
	sayAnother    = phrase{"What the policy in the bundle says: it is another than yours, and was not used.", "案卷包中信任策略的内容：它与您的策略不同，未被采用。"}
	sayUnknown    = phrase{"What stands in files that this verifier does not know: %s.", "本验证程序不认识的文件中的内容：%s。"}
	sayPage       = phrase{"That the page in the bundle, verify.html, is the depository's: whoever made the bundle could have changed it.", "案卷包中的 verify.html 页面出自存证机构：制作案卷包者可以改动它。"}
	sayRange      = phrase{"%d to %d", "%d 至 %d"}
	comma         = phrase{", ", "、"}
)

// Say puts a finding into words. Text that is not ours is made harmless.
func (f Finding) Say(lang proofs.Language) string {
	args := []any{proofs.Plain(f.File)}
	for _, a := range f.Args {
		args = append(args, proofs.Plain(a))
	}
	if f.says != nil {
		args = append(args, proofs.Plain(f.says(lang)))
	}
	return differences[f.What].in(lang, args...)
}

// verdictOf is the verdict on a receipt, without what stands before it.
func verdictOf(e proofs.Evidence) func(proofs.Language) string {
	return func(lang proofs.Language) string {
		verdict := e.Explain(lang).Verdict
		return verdict[strings.LastIndexByte(verdict, '\n')+1:]
	}
}

// Explain puts the report into words, as proofs.Evidence.Explain does.
func (r Report) Explain(lang proofs.Language) proofs.Explanation {
	x := proofs.Explanation{Verdict: r.verdict(lang), Proved: []string{}, NotProved: []string{}}
	outcome := r.Outcome()
	if outcome == proofs.Refused {
		return x
	}
	held, documents, papers, under := 0, 0, 0, false
	for _, d := range r.Deposits {
		if d.Paper != nil {
			papers++
			under = under || r.Own && d.Paper.Policy != r.Policy
		}
		if d.Evidence.Outcome() == proofs.Verified {
			held++
			if d.Evidence.Document == proofs.DocumentMatches {
				documents++
			}
		}
	}
	if held > 0 {
		x.Proved = append(x.Proved, sayEach.in(lang, held, documents))
	}
	if papers > 0 && r.Own {
		x.Proved = append(x.Proved, sayPapers.in(lang, papers))
	}
	if outcome == proofs.Verified {
		x.Proved = append([]string{sayWhole.in(lang, proofs.Plain(r.Contract), r.Count)}, x.Proved...)
	}
	if len(r.Missing) > 0 {
		x.NotProved = append(x.NotProved, sayMissing.in(lang))
	}
	if !r.Own {
		x.NotProved = append(x.NotProved, sayUnsigned.in(lang))
	}
	if r.Another {
		x.NotProved = append(x.NotProved, sayAnother.in(lang))
	}
	x.NotProved = append(x.NotProved, sayAfter.in(lang), sayClaims.in(lang), sayPage.in(lang))
	if papers > 0 {
		x.NotProved = append(x.NotProved, sayPaperSays.in(lang))
	}
	if under {
		x.NotProved = append(x.NotProved, sayPaperUnder.in(lang))
	}
	if len(r.Unchecked) > 0 {
		x.NotProved = append(x.NotProved, sayUnknown.in(lang, proofs.Plain(strings.Join(r.Unchecked, ", "))))
	}
	return x
}

func (r Report) verdict(lang proofs.Language) string {
	outcome := r.Outcome()
	text := verdicts[outcome].in(lang)
	if outcome == proofs.Refused {
		text = verdicts[outcome].in(lang, len(r.Findings))
	}
	if outcome == proofs.Undecided {
		open := false
		for _, d := range r.Deposits {
			open = open || d.Evidence.Outcome() == proofs.Undecided && d.Evidence.Reason != proofs.ReasonPolicyFound
		}
		switch {
		case len(r.Deposits) == 0:
			text += sayEmpty.in(lang) + space.in(lang)
		case !r.Own:
			text += sayFound.in(lang, r.Policy) + space.in(lang)
		}
		if len(r.Missing) > 0 {
			text += sayGaps.in(lang, r.Count, ranges(r.Missing, lang)) + space.in(lang)
		}
		if open {
			text += sayOpen.in(lang)
		}
	}
	text = strings.TrimRight(text, " ")
	for _, d := range r.Deposits {
		if e := d.Evidence; e.Environment != "" && e.Environment != proofs.Prod {
			return sayTest.in(lang, proofs.Plain(e.Origin)) + "\n" + text
		}
	}
	return text
}

// space stands between sentences.
var space = phrase{" ", ""}

// maxRanges bounds what a sentence lists.
const maxRanges = 20

func ranges(list []Range, lang proofs.Language) string {
	var out []string
	for i, r := range list {
		switch {
		case i == maxRanges:
			return strings.Join(out, comma.in(lang)) + comma.in(lang) + "…"
		case r[0] == r[1]:
			out = append(out, fmt.Sprint(r[0]))
		default:
			out = append(out, sayRange.in(lang, r[0], r[1]))
		}
	}
	return strings.Join(out, comma.in(lang))
}

// readme is README.txt of every bundle.
const readme = "案卷包\r\n" +
	"======\r\n\r\n" +
	"这里有一份合同的全部存证：文件（documents）、回执（receipts）、证据记录（evidence）、供人阅读\r\n" +
	"的证书（certificates，如有）和存证机构的信任策略（policy）。manifest.json 是目录。\r\n\r\n" +
	"核验（无需网络）：\r\n" +
	"  1. 用浏览器打开 verify.html，把整个 ZIP 文件或解压后的文件夹放入该页面；或者\r\n" +
	"  2. 使用您自己的工具：muniment verify 案卷包.zip --policy 信任策略\r\n\r\n" +
	"verify.html 随案卷包而来，制作案卷包者可以改动它。如有疑虑，请用第 2 种方法，或在您信任的\r\n" +
	"网站的 /verify 页面放入同一个 ZIP 文件。信任策略或其指纹应从其他渠道取得：随案卷包而来的\r\n" +
	"信任策略不能证明由谁签名。\r\n\r\n\r\n" +
	"Case bundle\r\n" +
	"===========\r\n\r\n" +
	"All deposits of one contract: documents, receipts, evidence records, certificates for\r\n" +
	"people where there are any, and the depository's policy. manifest.json is the list of\r\n" +
	"contents.\r\n\r\n" +
	"To verify, without a network:\r\n" +
	"  1. open verify.html in a browser and give it the whole ZIP, or the folder it was\r\n" +
	"     unpacked into; or\r\n" +
	"  2. with a tool of your own: muniment verify BUNDLE.zip --policy POLICY\r\n\r\n" +
	"verify.html came with the bundle, and whoever made the bundle could have changed it.\r\n" +
	"Where that matters use the second way, or drop the ZIP onto the /verify page of a site\r\n" +
	"that you trust. Get the policy, or its fingerprint, from elsewhere: the one in the bundle\r\n" +
	"proves nothing about who signed.\r\n"
