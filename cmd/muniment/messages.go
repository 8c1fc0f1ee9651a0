package main

import "github.com/muniment/muniment/proofs"

// All that this program says to people stands here, in both languages. JSON's names are
// not here: they are the same in every language.

// Help.
var (
	sayUsage       = phrase{"Usage:", "用法："}
	sayCommands    = phrase{"Commands:", "命令："}
	sayExamples    = phrase{"Examples:", "示例："}
	sayFlags       = phrase{"Flags:", "选项："}
	sayFlagsMark   = phrase{"[flags]", "[选项]"}
	sayGlobalFlags = phrase{"Flags of every command:", "各命令通用的选项："}
	sayMoreHelp    = phrase{`"%s COMMAND --help" says more about a command.`, "“%s 命令 --help”显示该命令的详细说明。"}
	sayHelpShort   = phrase{"Help about a command", "显示命令的说明"}
	sayFlagHelp    = phrase{"show this help", "显示本说明"}
	sayFlagLang    = phrase{"`language`: en or zh (default as LC_ALL, LC_MESSAGES or LANG say)", "语言 `language`：en 或 zh（默认依 LC_ALL、LC_MESSAGES 或 LANG）"}
	sayFlagJSON    = phrase{"print JSON: one object a line, names that never change", "输出 JSON：每行一个对象，字段名固定不变"}
	sayFlagServer  = phrase{"`url`: address of the depository (default $MUNIMENT_SERVER)", "存证机构的网址 `url`（默认 $MUNIMENT_SERVER）"}
	sayFlagCA      = phrase{"`file` of root certificates that the depository's must lead to, PEM (default $MUNIMENT_CA, or else the machine's)", "存证机构证书所须追溯至的根证书 `file`，PEM 格式（默认 $MUNIMENT_CA，否则为本机的根证书）"}
	sayFlagCert    = phrase{"`file` of a client certificate, PEM, to come with instead of an API key (default $MUNIMENT_CERT)", "客户端证书 `file`，PEM 格式，可代替 API 密钥（默认 $MUNIMENT_CERT）"}
	sayFlagCertKey = phrase{"`file` of that certificate's private key, PEM (default $MUNIMENT_CERT_KEY)", "该证书的私钥 `file`，PEM 格式（默认 $MUNIMENT_CERT_KEY）"}
	sayFlagKey     = phrase{"`key`: API key, or token of an issuer that the depository trusts (default $MUNIMENT_API_KEY, which other users of the machine cannot see)", "API 密钥 `key`，或存证机构所信任的签发方出具的令牌（默认 $MUNIMENT_API_KEY；本机其他用户看不到该变量）"}

	sayMunimentShort = phrase{"Deposit documents as evidence, and verify receipts offline", "文件存证，以及离线验证回执"}
	sayMunimentLong  = phrase{
		`Deposit contracts and evidence with a depository, keep the receipts, and verify them
years later: offline, by anyone, without trusting the depository.

Exit codes of every command. 0: done, and everything holds. 1: evidence was judged and
refused. 2: it could not be judged, or the command could not do its work. audit has more.`,
		`将合同与证据存入存证机构并保存回执；多年以后，任何人都可以离线验证，无需信任存证机构。

各命令的退出码。0：完成，各项均成立。1：证据经判断不予采信。2：无法判断，或命令未能完成。
audit 命令另有其他退出码。`,
	}

	sayDepositShort = phrase{"Deposit files and folders, and keep their receipts", "存证文件与文件夹，并保存回执"}
	sayDepositLong  = phrase{
		`Deposit files, and all files in folders, in the case of a contract; check each receipt
that comes back, and write it to FILE.tlog-proof. Keep it with the document: the two and
the depository's policy are all that a court needs.

Interrupted in any way, the same command goes on where it stopped, and deposits nothing
twice: a file is done when a receipt of it is there that verifies. A receipt of anything
else is named and never overwritten; the new one is then written to
FILE.<id>.tlog-proof.

Left out in folders: receipts, hidden files, symbolic links, and what batch wrote.
Files that you name are deposited in that order, one after another, and their case has
that order; in a folder several go up at once. The same document under the same name is
one deposit in a case, wherever it stands.

JSON: file, status (deposited, there, refused, failed or stopped), id, index, time,
sha256, size, held, leaf, receipt, problem, error.

Exit code 0: every file has its receipt. 1: the depository refused one, or a receipt must
not be believed. 2: anything else.`,
		`将文件及文件夹中的所有文件存入某一合同的案卷；逐一核验返回的回执，并写入“文件名.tlog-proof”。
请将回执与文件一并保存：法院所需的只有这两者与存证机构的信任策略。

无论以何种方式中断，再次执行同一命令即可继续，且不会重复存证：某文件已有可通过验证的回执，即视为完成。
若该处是其他内容的回执，会予以指出而绝不覆盖，新回执另存为“文件名.<编号>.tlog-proof”。

文件夹中不处理：回执、隐藏文件、符号链接，以及 batch 命令写入的内容。
逐个列出的文件按所列顺序依次存证，案卷顺序与之相同；文件夹中的文件会同时上传多个。
同一案卷中，名称与内容都相同的文件无论位于何处，都是同一次存证。

JSON 字段：file、status（deposited、there、refused、failed 或 stopped）、id、index、time、
sha256、size、held、leaf、receipt、problem、error。

退出码 0：每个文件均有回执。1：存证机构拒绝了某个文件，或某回执不可采信。2：其他情况。`,
	}
	sayDepositExample = phrase{
		`  muniment deposit contract.pdf voucher.pdf --contract HT-2026-000117 --policy depository.policy
  muniment deposit loans/HT-2026-000117 --contract HT-2026-000117 --label branch=Shenzhen`,
		`  muniment deposit 合同.pdf 凭证.pdf --contract HT-2026-000117 --policy depository.policy
  muniment deposit 贷款/HT-2026-000117 --contract HT-2026-000117 --label branch=深圳`,
	}
	sayFlagContract      = phrase{"contract `number`, the case's name", "合同编号 `number`，即案卷名称"}
	sayFlagLabel         = phrase{"your own label, `key=value`; may be repeated", "自定义标签 `key=value`，可重复"}
	sayFlagSet           = phrase{"another member of the record, `name=text` or name:=JSON; may be repeated", "描述中的其他字段，`name=text` 或 name:=JSON，可重复"}
	sayFlagDigestOnly    = phrase{"send the SHA-256 only; the document stays here, and must be kept here", "只发送 SHA-256；文件留在本地，且须自行保管"}
	sayFlagReceiptPolicy = phrase{"policy `file` to check receipts by, obtained other than from the server", "核验回执所用的信任策略 `file`，应从服务器以外的渠道取得"}
	sayFlagOut           = phrase{"`folder` for the receipts (default beside each file)", "存放回执的 `folder`（默认在各文件旁）"}
	sayFlagParallel      = phrase{"`number` of uploads at once (default %d in a folder; else 1, in the order of the names)", "同时上传的 `number`（文件夹默认 %d；否则为 1，按所列顺序）"}
	sayFlagAgain         = phrase{"make a new deposit even of what was deposited before", "即使此前已存证，也另作一次新的存证"}

	sayBatchShort = phrase{"Deposit the digests that a CSV file lists", "按 CSV 文件批量存证摘要"}
	sayBatchLong  = phrase{
		`Deposit one digest for each line of a CSV file, up to 10,000 in one batch; of a batch,
all lines are deposited or none.

The first line names members of the record: content.sha256, contract.number,
party.0.name, terms.amount, label.branch and so on; a name that ends in ":" has JSON in
its cells. Instead of content.sha256 there may be a column "file": the path of a
document, relative to the CSV file, which is hashed here and stays here. What --contract,
--label and --set say holds for every line that says nothing else.

UTF-8 or GB18030; commas, semicolons or tabs. Every line is checked before anything is
sent, and each that is wrong is named.

Receipts go to FILE.csv.receipts/<id>.tlog-proof, and a table of them to results.csv
there. Keep the folder: interrupted in any way, the same command goes on where it
stopped, and by this folder it knows what is done, even if lines were added meanwhile.

JSON: line, status (deposited, there or failed), id, index, time, sha256, leaf, receipt;
of a line that is wrong: line, column, name, error.

Exit code 0: every line has its receipt. 1: the depository refused a batch, or a receipt
must not be believed. 2: anything else.`,
		`对 CSV 文件的每一行存证一个摘要，每批至多 10,000 行；同一批要么全部存证，要么一行也不存证。

首行为描述的字段名：content.sha256、contract.number、party.0.name、terms.amount、label.branch 等；
以“:”结尾的字段名表示其单元格为 JSON。可用“file”列代替 content.sha256：填写文件路径（相对于 CSV 文件），
文件在本地计算摘要，不会上传。--contract、--label 与 --set 的内容适用于未另行填写的各行。

编码为 UTF-8 或 GB18030；分隔符为逗号、分号或制表符。发送之前先检查所有行，并逐一指出有误的行。

回执写入“文件.csv.receipts/<编号>.tlog-proof”，汇总表为该文件夹中的 results.csv。
请保留该文件夹：无论以何种方式中断，再次执行同一命令即可继续；程序据此得知哪些行已完成，即使其间又增加了行。

JSON 字段：line、status（deposited、there 或 failed）、id、index、time、sha256、leaf、receipt；
有误的行为：line、column、name、error。

退出码 0：每行均有回执。1：存证机构拒绝了某一批，或某回执不可采信。2：其他情况。`,
	}
	sayBatchExample = phrase{
		`  muniment batch loans.csv --check
  muniment batch loans.csv --policy depository.policy`,
		`  muniment batch 贷款.csv --check
  muniment batch 贷款.csv --policy depository.policy`,
	}
	sayFlagBatchOut   = phrase{"`folder` for the receipts (default FILE.csv.receipts)", "存放回执的 `folder`（默认为“文件.csv.receipts”）"}
	sayFlagCheck      = phrase{"check the file, and send nothing", "只检查文件，不发送任何内容"}
	sayFlagBatchAgain = phrase{"make new deposits even of what was deposited before; needs a new folder, see --out", "即使此前已存证，也另作新的存证；须用 --out 指定新文件夹"}

	sayReceiptShort = phrase{"Fetch receipts, or refresh old ones", "取回回执，或更新旧回执"}
	sayReceiptLong  = phrase{
		`Fetch the receipts of deposits by their ids, check them, and write each to
<id>.tlog-proof.

The receipt is the best there is: once an authority has dated a checkpoint that covers the
deposit, it is the one under the earliest such checkpoint, with the time-stamps. With
--evidence its evidence record is written beside it, to <id>.evidence: it carries the time
beyond the end of every certificate, and grows; fetch it again when it is needed.

With --refresh, name receipts instead: each is replaced by the best receipt of the same
deposit, if that one verifies, is of the same entry at the same place, and its log is not
smaller, unless it has time-stamps where the old one has none. One with time-stamps is kept.
What was hidden in the old one stays hidden. An old receipt stays as good as it was.

With --disclose and --hide the receipt shows some members of the record and hides the
others: their names stay visible, their values cannot be guessed, and it proves as much of
the rest. Name a deposit, or the file of a receipt, for which no depository is needed.
Without content.sha256 nobody can hold a document against it.

JSON: receipt, status (fetched, refreshed, kept, refused or failed), id, index, time, leaf,
size (of the checkpoint), was (its size before), evidence, error.

Exit code 0: all were fetched. 1: what the depository gave must not be believed, or
contradicts the receipt. 2: anything else.`,
		`按存证编号取回回执，核验后分别写入“<编号>.tlog-proof”。

取回的是现有最好的回执：一旦有时间戳机构为覆盖该存证的检查点标注了时间，即为其中最早的检查点之下、带时间戳的回执。
使用 --evidence 时，其证据记录一并写入“<编号>.evidence”：它使时间在所有证书到期之后仍可证明，且会不断增长，需要时请重新取回。

使用 --refresh 时改为列出回执文件：若同一存证现有最好的回执通过验证，条目与位置相同，且日志没有变小
（或新回执带有时间戳而旧回执没有），则以其替换旧回执。带有时间戳的回执予以保留。
旧回执中隐藏的字段仍保持隐藏。旧回执的效力不变。

使用 --disclose 与 --hide 时，回执只披露部分字段而隐去其余：字段名仍可见，其值无法猜出，其余内容的
证明力不变。可指明一项存证，也可指明一个回执文件；后者无需联系存证机构。隐去 content.sha256 后，
任何人都无法再以文件与之比对。

JSON 字段：receipt、status（fetched、refreshed、kept、refused 或 failed）、id、index、time、leaf、
size（检查点的条目数）、was（此前的条目数）、evidence、error。

退出码 0：全部取回。1：存证机构给出的内容不可采信，或与回执矛盾。2：其他情况。`,
	}
	sayReceiptExample = phrase{
		`  muniment receipt 01a20719-4eff-7849-afb4-ed408e0d354e -o contract.pdf.tlog-proof
  muniment receipt --refresh contract.pdf.tlog-proof --policy depository.policy`,
		`  muniment receipt 01a20719-4eff-7849-afb4-ed408e0d354e -o 合同.pdf.tlog-proof
  muniment receipt --refresh 合同.pdf.tlog-proof --policy depository.policy`,
	}
	sayFlagOutput        = phrase{"`file` for the one receipt, or - for standard output", "单个回执的 `file`；- 表示标准输出"}
	sayFlagReceiptOut    = phrase{"`folder` for the receipts (default this one)", "存放回执的 `folder`（默认当前文件夹）"}
	sayFlagFetchEvidence = phrase{"fetch the evidence record too", "同时取回证据记录"}
	sayFlagRefresh       = phrase{"the arguments are receipts to be refreshed", "参数为待更新的回执文件"}

	sayVerifyShort = phrase{"Check documents against their receipts, offline", "离线核验文件与回执"}
	sayVerifyLong  = phrase{
		`Check that a document is, bit for bit, the one that its receipt is about, and that the
receipt satisfies a policy. No network is used, and no one is asked.

One file: its receipt is FILE.tlog-proof, or the one that --receipt names, and all that is
proved and not proved is said. A receipt alone is checked without a document. Several, or
folders: a table, with what is missing; a document without a receipt beside it finds one by
its SHA-256. A case bundle (ZIP): everything in it, the chain of the case, and every gap.

A certificate (PDF) needs no other file: it is printed again from the receipt in it, and every
byte compared. With a document, name it by --receipt.

The policy decides whose signatures count. Take it from whoever answers for the
depository, never from the party that offers the evidence. Likewise --tsa-roots, the root
certificates of the time-stamp authorities that you trust: without it no time-stamp is
checked. --evidence names the evidence record of the one receipt, which carries the time
beyond the end of the authorities' certificates. A depositor's own signature in the record is
always checked; --depositor-key demands one by a key that you know to be the depositor's.

JSON: outcome (verified, refused or undecided), missing (receipt or document), reason,
document (matches, differs or unchecked), verdict, proved, not_proved, file, receipt,
document_sha256, receipt_sha256, level, origin, index, time, size, root, leaf, policy,
signatures, depositor, timestamps, untrusted, renewals, until, record, hidden, error,
certificate. Of a bundle: bundle, outcome, verdict, proved, not_proved, policy, origin, contract, count, missing,
findings, deposits.

Exit code 0: all verified. 1: something is refused; do not rely on it. 2: not all could be
decided, or the command could not do its work.`,
		`核验文件是否与其回执所指的文件逐位一致，以及回执是否符合信任策略。不使用网络，也不询问任何人。

单个文件：回执为“文件名.tlog-proof”或 --receipt 所指定者，并说明已证明与未证明的全部内容。
单个回执：不比对文件，只核验回执。多个文件或文件夹：以表格列出，并指出缺少的内容；
旁边没有回执的文件，按其 SHA-256 寻找回执。案卷包（ZIP）：核验其中的全部内容、案卷链条及每处缺口。

存证证书（PDF）无须其他文件：据其内嵌回执重新生成并逐字节比对。另有文件时，以 --receipt 指定证书。

信任策略决定谁的签名有效。请向对存证机构负责的一方索取，切勿使用举证一方提供的策略。
--tsa-roots 同理，为您所信任的时间戳机构之根证书：不提供则不检查任何时间戳。
--evidence 指定单个回执的证据记录，它使时间在时间戳机构的证书到期之后仍可证明。
描述中存证人自身的签名总会被检查；--depositor-key 则要求以您确知属于存证人的密钥签名。

JSON 字段：outcome（verified、refused 或 undecided）、missing（receipt 或 document）、reason、
document（matches、differs 或 unchecked）、verdict、proved、not_proved、file、receipt、
document_sha256、receipt_sha256、level、origin、index、time、size、root、leaf、policy、
signatures、depositor、timestamps、untrusted、renewals、until、record、hidden、error、certificate。
案卷包的字段：
bundle、outcome、verdict、proved、not_proved、policy、origin、contract、count、missing、
findings、deposits。

退出码 0：全部通过。1：有内容不予采信，请勿依赖。2：部分无法判定，或命令未能完成。`,
	}
	sayFlagTSARoots  = phrase{"PEM `file` of the time-stamp authorities' root certificates that you trust (default $MUNIMENT_TSA_ROOTS)", "您所信任的时间戳机构根证书之 PEM 文件 `file`（默认 $MUNIMENT_TSA_ROOTS）"}
	sayFlagEvidence  = phrase{"evidence record `file` of the one receipt; needs --tsa-roots", "单个回执的证据记录 `file`；须同时使用 --tsa-roots"}
	sayVerifyExample = phrase{
		`  muniment verify contract.pdf --policy depository.policy
  muniment verify contract.pdf --receipt old.tlog-proof --policy depository.policy --lang zh
  muniment verify contract.pdf --policy depository.policy --tsa-roots roots.pem
  muniment verify exhibits/ --policy depository.policy
  muniment verify HT-2026-000117.zip --policy depository.policy`,
		`  muniment verify 合同.pdf --policy depository.policy
  muniment verify 合同.pdf --receipt 旧.tlog-proof --policy depository.policy --lang en
  muniment verify 合同.pdf --policy depository.policy --tsa-roots roots.pem
  muniment verify 证据/ --policy depository.policy
  muniment verify HT-2026-000117.zip --policy depository.policy`,
	}
	sayFlagReceipt = phrase{"the receipt's `file` (default FILE.tlog-proof)", "回执 `file`（默认“文件名.tlog-proof”）"}
	sayFlagPolicy  = phrase{"the policy `file` to judge by (required)", "据以判断的信任策略 `file`（必需）"}

	sayCaseShort     = phrase{"Look at the deposits of a contract as a chain", "以链条查看一份合同的全部存证"}
	sayCaseLong      = phrase{"The deposits of one contract form a case. Each is numbered, and names the one before\nit, so that none can be taken out unseen.", "同一合同的各次存证构成案卷。每次存证都有编号，并指明前一次，因此无法不留痕迹地抽走任何一次。"}
	sayCaseListShort = phrase{"List a case, and say whether its chain is unbroken", "列出案卷，并说明其链条是否完整"}
	sayCaseListLong  = phrase{
		`List the deposits of one contract, the oldest first, and say whether they are numbered
without a gap and each names the one before it. The list is the depository's word; what
proves a deposit is its receipt.

JSON: contract, number, index, time, id, name, sha256, held, leaf,
depositor.

Exit code 0: unbroken. 1: broken. 2: there is no such case, or it could not be listed.`,
		`按先后列出一份合同的各次存证，并说明编号是否连续、每次是否指明前一次。
列表出自存证机构之口；能证明存证的是回执。

JSON 字段：contract、number、index、time、id、name、sha256、held、leaf、depositor。

退出码 0：完整。1：断裂。2：没有该案卷，或无法列出。`,
	}
	sayExportShort = phrase{"Fetch a whole case as one bundle, and check it", "将整个案卷取回为一个案卷包，并加以核验"}
	sayExportLong  = phrase{
		`Fetch all deposits of one contract as one ZIP: documents, receipts, evidence records, the
depository's policy, a list of contents that shows every gap, and verify.html, a page that
checks all of it without a network. The bundle is checked before it gets its name; one that
is refused is not kept. No file is ever replaced. With --link the case may be left out.

The bundle has a certificate of each deposit, in the language of --in and as --profile says,
without the document in it; --no-certificates leaves them out.

JSON: bundle, outcome, verdict, proved, not_proved, policy, origin, contract, count,
missing, findings, deposits.

Exit code 0: the bundle is there and holds. 1: it was refused. 2: the case has gaps (the
bundle is there), or it could not be fetched.`,
		`将一份合同的全部存证取回为一个 ZIP 文件：文件、回执、证据记录、存证机构的信任策略、
列明每处缺口的目录，以及 verify.html，一个无需网络即可核验全部内容的页面。
案卷包先经核验，然后才以其名称保存；不予采信者不保存。绝不替换任何已有文件。
使用 --link 时可省略合同编号。

案卷包中每次存证各附一份证书，语言由 --in、版式由 --profile 指定，其中不内嵌
文件；--no-certificates 表示不要证书。

JSON 字段：bundle、outcome、verdict、proved、not_proved、policy、origin、contract、count、
missing、findings、deposits。

退出码 0：案卷包已保存并成立。1：不予采信。2：案卷有缺口（案卷包已保存），或无法取回。`,
	}
	sayExportExample = phrase{
		`  muniment case export HT-2026-000117 --policy depository.policy
  muniment case export HT-2026-000117 -o /media/usb/case.zip`,
		`  muniment case export HT-2026-000117 --policy depository.policy
  muniment case export HT-2026-000117 -o /media/usb/案卷.zip`,
	}
	sayFlagBundle   = phrase{"`file` for the bundle (default CONTRACT.zip in this folder)", "案卷包的 `file`（默认为当前文件夹中的“合同编号.zip”）"}
	sayFlagBare     = phrase{"leave certificates out", "不要证书"}
	sayExported     = phrase{"The bundle is %s. Give it away together with the policy's fingerprint, by another channel.", "案卷包为 %s。交付时，请将信任策略的指纹通过其他渠道一并告知。"}
	sayOddBundle    = phrase{"the server's answer is no case bundle", "服务器的应答不是案卷包"}
	sayNoBundle     = phrase{"%s is no case bundle, or it is damaged or cut short; nor is there a receipt for it", "%s 不是案卷包，或已损坏、被截断；它也没有附带回执"}
	sayBundleUnread = phrase{"%s cannot be read: %s", "无法读取 %s：%s"}
	headDiffers     = phrase{"What differs:", "不符之处："}
	wordMissing     = phrase{"MISSING", "缺失"}

	sayGapsShort = phrase{"Find what is missing among receipts, offline", "离线查找一组回执中缺少的部分"}
	sayGapsLong  = phrase{
		`Verify receipts, and the receipts in folders, and say for each case whether they are all
there: numbered from 1 to the last without a gap, each naming the one before it. No
network is used. What was deposited after the last receipt at hand, no receipt can tell.

JSON: contract, tenant, origin, deposits, last, whole, breaches.

Exit code 0: every case is whole. 1: something is missing, contradicts or is refused.
2: anything else.`,
		`核验回执及文件夹中的回执，并就每个案卷说明是否齐全：编号从 1 到最后一号连续，且每次指明前一次。
不使用网络。手头最后一份回执之后是否另有存证，回执本身无法说明。

JSON 字段：contract、tenant、origin、deposits、last、whole、breaches。

退出码 0：各案卷均齐全。1：有缺失、矛盾或不予采信的内容。2：其他情况。`,
	}
	sayGapsExample = phrase{
		`  muniment case gaps exhibits/ --policy depository.policy`,
		`  muniment case gaps 证据/ --policy depository.policy`,
	}

	sayListShort = phrase{"Search deposits", "查询存证"}
	sayListLong  = phrase{
		`List the deposits that match: by contract, by a document's SHA-256 or SM3, by who deposited or by a
label, within a time if wanted; with nothing given, all. The list is the depository's word; what proves a
deposit is its receipt ("muniment receipt ID").

Times are dates, at their beginning in this machine's zone, or RFC 3339.

JSON: contract, number, index, time, id, name, sha256, held, leaf,
depositor.`,
		`列出符合条件的存证：按合同、文件的 SHA-256 或 SM3、存证人，或按标签查询，并可限定时间；不给条件则列出全部。
列表出自存证机构之口；能证明存证的是回执（“muniment receipt 编号”）。

时间为日期（本机时区当日零时），或 RFC 3339 格式。

JSON 字段：contract、number、index、time、id、name、sha256、held、leaf、depositor。`,
	}
	sayListExample = phrase{
		`  muniment list --contract HT-2026-000117
  muniment list --label branch=Shenzhen --since 2026-11-01 --until 2026-12-01`,
		`  muniment list --contract HT-2026-000117
  muniment list --label branch=深圳 --since 2026-11-01 --until 2026-12-01`,
	}
	sayFlagListContract  = phrase{"contract `number`, byte for byte", "合同编号 `number`，逐字节一致"}
	sayFlagListDigest    = phrase{"`digest` of the document, 64 hex digits", "文件的 `digest`，64 位十六进制"}
	sayFlagListSM3       = phrase{"SM3 of the document, `digest` of 64 hex digits, where its record has one", "文件的 SM3 `digest`，64 位十六进制；仅限描述中载有 SM3 的存证"}
	sayFlagListDepositor = phrase{"`name` of who deposited, as the record has it (depositor.name), byte for byte", "存证人 `name`，与描述中的 depositor.name 逐字节一致"}
	sayFlagListLabel     = phrase{"label, `key=value`", "标签 `key=value`"}
	sayFlagNewestFirst   = phrase{"begin with the newest", "由新到旧"}
	sayFlagSince         = phrase{"`time` of the earliest", "最早的 `time`"}
	sayFlagUntil         = phrase{"`time` before which all are", "在此 `time` 之前"}

	sayLogShort        = phrase{"Look into the depository's public log", "查看存证机构的公开日志"}
	sayLogLong         = phrase{"The log is public, and only grows. These commands check it for themselves, with tiles\nand proofs, and need no account.", "日志是公开的，只增不减。以下命令通过数据块与证明自行核验，无需账户。"}
	sayCheckpointShort = phrase{"Fetch the newest checkpoint, and check who signed it", "取得最新检查点并核验签名"}
	sayCheckpointLong  = phrase{
		`Fetch the newest checkpoint, check its signatures by the policy, and print what it says.
With --out it is kept, byte for byte: whoever keeps checkpoints can prove it if the log is
ever rewritten ("muniment log consistency").

JSON: origin, size, root, fetched, policy, file.

Exit code 0: the policy is satisfied. 1: it is not. 2: anything else.`,
		`取得最新检查点，按信任策略核验签名，并显示其内容。使用 --out 可逐字节保存：
保存检查点的人，日后可以证明日志是否被改写（“muniment log consistency”）。

JSON 字段：origin、size、root、fetched、policy、file。

退出码 0：符合信任策略。1：不符合。2：其他情况。`,
	}
	sayFlagCheckpointOut = phrase{"new `file` for the checkpoint", "保存检查点的新 `file`"}
	sayFlagLogPolicy     = phrase{"policy `file` to judge by, obtained other than from the server", "据以判断的信任策略 `file`，应从服务器以外的渠道取得"}
	sayFactsShort        = phrase{"Print who runs the depository, and prove that the log says so", "显示存管机构的事实说明，并证明其载于日志"}
	sayFactsLong         = phrase{
		`Print the public fact sheet: who runs the depository, on which grounds a court may believe
it, and with which program, as the operator states it. The newest sheet is in force, or, with
--size, the one under the checkpoint of that size.

JSON: index, time, record, origin, size, policy.

Exit code 0: proved. 1: refused. 2: anything else.`,
		`显示公开的事实说明：由谁运营存管系统、法院可据以采信的理由以及所用程序，均为运营者自述。
所示为现行版本；指定 --size 时，为该大小的检查点之下有效的版本。

JSON 字段：index、time、record、origin、size、policy。

退出码 0：已证明。1：不予采信。2：其他情况。`,
	}
	sayFlagFactsSize = phrase{"the sheet in force under the checkpoint of this size; 0: the newest", "该大小的检查点之下有效的版本；0 为最新"}
	sayFactsUnproven = phrase{"the fact sheet that %s gives does not verify", "%s 给出的事实说明未通过验证"}
	sayFactsProven   = phrase{"Proved: this stands in the log, as entry %d of %s, and is in force since %s. It is the operator's own statement.", "已证明：以上内容为第 %d 号条目，载于日志 %s，自 %s 起有效。内容为运营者自述。"}
	sayEntryShort    = phrase{"Print an entry of the log, and prove that it stands there", "显示日志的一个条目，并证明其在日志之中"}
	sayEntryLong     = phrase{
		`Print the entry at INDEX, counted from 0, once it is proved by the log's tiles to stand
there under the newest checkpoint. Entries are public; they reveal nothing of the record.

JSON: index, entry, leaf, path, origin, size, root, policy.

Exit code 0: proved. 1: refused. 2: anything else.`,
		`显示编号 INDEX（从 0 起）的条目；显示之前，先以日志的数据块证明其在最新检查点之下确在该位置。
条目是公开的，不透露描述的任何内容。

JSON 字段：index、entry、leaf、path、origin、size、root、policy。

退出码 0：已证明。1：不予采信。2：其他情况。`,
	}
	sayConsistencyShort = phrase{"Prove that the log only grew since a checkpoint", "证明某检查点之后日志只增不减"}
	sayConsistencyLong  = phrase{
		`Prove that the log of a newer checkpoint begins with all of the log of an older one.
OLD and NEW are checkpoints or receipts; without NEW, it is the depository's newest.

If they contradict each other, the log's key has signed two histories. Both notes are then
written to files: together they prove it to anyone.

JSON: outcome (consistent or fork), origin, old, new, old_root, new_root, policy, proof,
prefix_root, files.

Exit code 0: the one continues the other. 1: they contradict each other, or a checkpoint is
refused. 2: anything else.`,
		`证明较新检查点的日志以较早检查点的整个日志为开头。
OLD 与 NEW 为检查点或回执；不给 NEW 时，取存证机构的最新检查点。

若两者矛盾，即说明该日志的密钥签署了两段不同的历史。此时两份检查点会写入文件：两者合在一起，可向任何人证明这一点。

JSON 字段：outcome（consistent 或 fork）、origin、old、new、old_root、new_root、policy、proof、
prefix_root、files。

退出码 0：前后一致。1：两者矛盾，或某检查点不予采信。2：其他情况。`,
	}
	sayConsistencyExample = phrase{
		`  muniment log consistency contract.pdf.tlog-proof --policy depository.policy
  muniment log consistency january.checkpoint february.checkpoint --policy depository.policy`,
		`  muniment log consistency 合同.pdf.tlog-proof --policy depository.policy
  muniment log consistency 一月.checkpoint 二月.checkpoint --policy depository.policy`,
	}
	sayFlagForkOut = phrase{"`folder` for the notes of a fork", "分叉时保存检查点的 `folder`"}

	sayPolicyShort = phrase{"Print the policy that a depository publishes", "显示存证机构公布的信任策略"}
	sayPolicyLong  = phrase{
		`Print the policy that a depository publishes, byte for byte, and on standard error its
fingerprint. A policy taken from the server it is to judge proves nothing until its
fingerprint has been compared by another channel.

JSON: policy, fingerprint.`,
		`逐字节显示存证机构公布的信任策略，并在标准错误输出中显示其指纹。
取自被判断的服务器本身的策略，在通过其他渠道核对指纹之前，不能证明任何事。

JSON 字段：policy、fingerprint。`,
	}
	sayVersionShort    = phrase{"Print the version of this program", "显示本程序的版本"}
	sayCompletionShort = phrase{"Print a shell's completion script", "输出命令行补全脚本"}
	sayCompletionLong  = phrase{
		`Print the script by which a shell completes the commands and flags of muniment.

  bash:  source <(muniment completion bash)
  zsh:   muniment completion zsh > "${fpath[1]}/_muniment"
  fish:  muniment completion fish > ~/.config/fish/completions/muniment.fish`,
		`输出供 shell 补全 muniment 命令与选项的脚本。

  bash： source <(muniment completion bash)
  zsh：  muniment completion zsh > "${fpath[1]}/_muniment"
  fish： muniment completion fish > ~/.config/fish/completions/muniment.fish`,
	}
)

// Errors of usage.
var (
	sayNoCommand        = phrase{`there is no command "%s"; "muniment --help" lists them`, "没有命令“%s”；“muniment --help”可列出全部命令"}
	saySuperfluous      = phrase{`the command takes no argument "%s"`, "该命令不接受参数“%s”"}
	sayUnknownFlag      = phrase{`there is no flag %s; --help lists them`, "没有选项 %s；--help 可列出全部选项"}
	sayBareFlag         = phrase{"%s needs a value", "%s 需要一个值"}
	sayInvalidFlag      = phrase{`"%s" is no value for %s`, "“%s”不能作为 %s 的值"}
	sayEmptyFlag        = phrase{"%s must not be empty", "%s 不能为空"}
	sayWhichLanguage    = phrase{"--lang is en or zh", "--lang 只能是 en 或 zh"}
	sayWhichShell       = phrase{"which shell? bash, zsh or fish", "哪种 shell？bash、zsh 或 fish"}
	sayWhichServer      = phrase{"which depository? Give --server URL or set MUNIMENT_SERVER", "哪个存证机构？请给出 --server URL 或设置 MUNIMENT_SERVER"}
	sayWhichKey         = phrase{"an API key is needed: give --api-key KEY or set MUNIMENT_API_KEY, or come with a client certificate (--cert)", "需要 API 密钥：请给出 --api-key KEY 或设置 MUNIMENT_API_KEY，或使用客户端证书（--cert）"}
	sayNoCertificates   = phrase{"%s holds no certificate in PEM", "%s 中没有 PEM 格式的证书"}
	sayWhichPolicy      = phrase{"which policy decides? Give --policy FILE", "依据哪份信任策略判断？请给出 --policy FILE"}
	sayWhichFiles       = phrase{"which files? Name at least one file or folder", "哪些文件？请至少列出一个文件或文件夹"}
	sayWhichContract    = phrase{"which contract? Give --contract NUMBER", "哪份合同？请给出 --contract NUMBER"}
	sayWhichSheet       = phrase{"which list? Name one CSV file", "哪份清单？请给出一个 CSV 文件"}
	sayWhichID          = phrase{"which deposits? Name at least one id, or receipts with --refresh", "哪些存证？请至少列出一个编号；使用 --refresh 时列出回执"}
	sayWhichDocument    = phrase{"which document? Name a FILE or a folder", "哪个文件？请给出一个文件或文件夹"}
	sayWhichReceipts    = phrase{"which receipts? Name at least one receipt or folder", "哪些回执？请至少列出一个回执或文件夹"}
	sayWhichEntry       = phrase{"which entry? Give one index", "哪个条目？请给出一个编号"}
	sayWhichCheckpoints = phrase{"which checkpoints? Name an older one and, if you like, a newer one", "哪些检查点？请给出较早的一个，并可再给出较新的一个"}
	sayOneContract      = phrase{"which case? Give one contract number", "哪个案卷？请给出一个合同编号"}
	sayOneEvidence      = phrase{"--evidence goes with one document or receipt, and with --tsa-roots FILE", "--evidence 只能用于单个文件或回执，并须使用 --tsa-roots FILE"}
	sayEvidenceNoOutput = phrase{"--evidence is written beside the receipt: it does not go with -o - or --refresh", "--evidence 写在回执旁：不能与 -o - 或 --refresh 同用"}
	sayOneReceipt       = phrase{"--receipt goes with one document", "--receipt 只能用于单个文件"}
	sayOneOutput        = phrase{"-o goes with one id, and not with --out; for several, give --out FOLDER", "-o 只能用于单个编号，且不能与 --out 同用；多个编号请用 --out FOLDER"}
	sayOneSearch        = phrase{"search by one of --contract, --sha256, --sm3, --depositor and --label at a time", "--contract、--sha256、--sm3、--depositor 与 --label 每次只能用其一"}
	sayRefreshInPlace   = phrase{"--refresh replaces receipts where they stand; leave out -o and --out", "--refresh 就地更新回执；请勿使用 -o 与 --out"}
	sayParallelBounds   = phrase{"--parallel is 1 to %d", "--parallel 的范围为 1 至 %d"}
	sayLabelForm        = phrase{`"%s" is not a label: KEY=VALUE`, "“%s”不是标签，应为 KEY=VALUE"}
	saySetForm          = phrase{`--set "%s" is not NAME=TEXT or NAME:=JSON`, "--set “%s”不是 NAME=TEXT 或 NAME:=JSON"}
	saySetTaken         = phrase{"--set %s: it is taken from the document or from --contract", "--set %s：该字段取自文件或 --contract"}
	sayMemberWrong      = phrase{"%s: %s", "%s：%s"}
	sayNoSuchMember     = phrase{`"%s" is not the name of a record's member`, "“%s”不是描述的字段名"}
	sayNotYours         = phrase{"%s is the depository's to set", "%s 由存证机构填写"}
	sayWrongType        = phrase{"%s must be %s", "%s 必须是%s"}
	sayNotID            = phrase{`"%s" is not the id of a deposit`, "“%s”不是存证编号"}
	sayNotIndex         = phrase{`"%s" is not the index of an entry`, "“%s”不是条目编号"}
	sayNoTime           = phrase{`"%s" is not a time: 2026-11-23 or 2026-11-23T09:30:00+08:00`, "“%s”不是时间：应为 2026-11-23 或 2026-11-23T09:30:00+08:00"}
	sayNoFile           = phrase{"it is not a file", "不是文件"}
	sayNotFile          = phrase{"%s is not a file", "%s 不是文件"}
)

// What this machine says.
var (
	sayAbout             = phrase{"%s: %s", "%s：%s"}
	sayNotThere          = phrase{"there is no such file or folder", "没有这个文件或文件夹"}
	sayNotAllowed        = phrase{"access is not allowed", "没有访问权限"}
	sayThereAlready      = phrase{"it is there already", "已经存在"}
	sayNoRoom            = phrase{"the disk is full", "磁盘已满"}
	sayReadOnly          = phrase{"the disk is read-only", "磁盘为只读"}
	sayIsFolder          = phrase{"it is a folder", "这是文件夹"}
	sayNotFolder         = phrase{"a part of the path is not a folder", "路径中有一部分不是文件夹"}
	sayNameTooLong       = phrase{"the name is too long", "名称过长"}
	sayTooManyOpen       = phrase{"too many files are open", "打开的文件过多"}
	sayMediumFails       = phrase{"the disk does not read or write properly", "磁盘读写故障"}
	sayConnectionRefused = phrase{"connection refused: nothing listens at that address", "连接被拒绝：该地址没有服务"}
	sayConnectionBroken  = phrase{"the connection broke off", "连接中断"}
	sayNoNetwork         = phrase{"the network does not reach it", "网络不可达"}
	sayNoSuchHost        = phrase{"there is no host %s", "找不到主机 %s"}
	sayTimedOut          = phrase{"it took too long", "等待超时"}
	sayMalformed         = phrase{"not in the form it must have (%s)", "格式不符（%s）"}
	sayNoReceiptRoom     = phrase{"no receipt could be written for %s: %s; nothing was sent", "无法为 %s 写入回执：%s；未发送任何内容"}
	sayReceiptsTaken     = phrase{"%s and its neighbour with the id %s are taken by other files; the deposit stands, and the same command fetches its receipt again", "%s 及带编号 %s 的文件名均已被其他文件占用；存证已成立，再次执行同一命令可重新取得回执"}
	sayTaken             = phrase{"%s is taken by another file, which stays", "%s 已被其他文件占用，该文件保持不变"}
	sayTooManyFiles      = phrase{"more than %d files in one run; name fewer folders", "一次处理的文件超过 %d 个；请减少文件夹"}
	sayNothingThere      = phrase{"there is no document there", "其中没有文件"}
	sayNameNotUTF8       = phrase{"its name is not UTF-8; rename it", "文件名不是 UTF-8；请重新命名"}
	sayPolicyUnreadable  = phrase{"the policy cannot be read: %s", "无法读取信任策略：%s"}
	sayRootsUnreadable   = phrase{"the root certificates cannot be read: %s", "无法读取根证书：%s"}
	sayNoRoots           = phrase{"%s holds no root certificates in PEM: %s", "%s 中没有 PEM 格式的根证书：%s"}
	sayEvidenceUnread    = phrase{"the evidence record cannot be read: %s", "无法读取证据记录：%s"}
	sayNoPolicy          = phrase{"%s is not a policy: %s", "%s 不是信任策略：%s"}
	sayReceiptUnreadable = phrase{"the receipt cannot be read: %s; name another with --receipt", "无法读取回执：%s；可用 --receipt 另行指定"}
	sayDocUnreadable     = phrase{"the document cannot be read: %s", "无法读取文件：%s"}
	sayNoReceipt         = phrase{"it is no receipt: %s", "不是回执：%s"}
	sayNoReceipts        = phrase{"there is no receipt there", "其中没有回执"}
)

// What the depository says, and what is said of it.
var (
	sayStopped       = phrase{"stopped; run the same command again to go on", "已停止；再次执行同一命令即可继续"}
	sayNotServer     = phrase{"%s", "服务器地址有误：%s"}
	sayChanged       = phrase{"it changed while it was being deposited; nothing was kept. Run the command again when it is at rest.", "文件在存证过程中发生了变化；未保存任何内容。请在文件不再变动后重新执行。"}
	sayNoAnswer      = phrase{"the depository does not answer: %s. Run the same command again later: nothing will be deposited twice.", "存证机构没有应答：%s。请稍后再次执行同一命令，不会重复存证。"}
	sayOddAnswer     = phrase{"%s", "应答并非出自存证机构：%s"}
	sayUnbelieved    = phrase{"%s", "服务器给出的回执不可采信：%s"}
	sayLogUnbelieved = phrase{"%s", "服务器所示的日志不可采信：%s"}
	sayProblem       = phrase{"%s (HTTP %d)", "%s（HTTP %d）"}
	sayProblemDetail = phrase{"%s: %s (HTTP %d)", "%s：%s（HTTP %d）"}
	sayCheckKey      = phrase{". Check --api-key or MUNIMENT_API_KEY.", "。请检查 --api-key 或 MUNIMENT_API_KEY。"}
	sayOtherClaims   = phrase{". This was deposited before with other claims; --again deposits it anew.", "。此前曾以其他描述存证；--again 可另作存证。"}
	sayLater         = phrase{". Run the same command again later: nothing will be deposited twice.", "。请稍后再次执行同一命令，不会重复存证。"}
	sayRetrying      = phrase{"%s; trying again in %s", "%s；%s 后重试"}
	sayExposed       = phrase{"Note: the API key and the documents travel unencrypted to %s; use https.", "注意：API 密钥与文件将以明文发往 %s；请使用 https。"}
	sayOwnPolicy     = phrase{"Note: without --policy, all is only held against the policy that the server itself publishes, fingerprint %s. That shows it consistent, not who signed it. For that, get the policy by another channel and give it with --policy.", "注意：未给出 --policy，只能以服务器自行公布的信任策略核对，其指纹为 %s。这只说明前后一致，不说明由谁签名。要确认签名者，请从其他渠道取得信任策略，并用 --policy 给出。"}
	sayFingerprint   = phrase{"Fingerprint: %s", "指纹：%s"}

	sayCompareFingerprint = phrase{"Compare it by another channel before you rely on it: the depository's printed terms, its regulator, a letter, a telephone call.", "依赖之前，请通过其他渠道核对：存证机构的书面条款、监管部门、信函或电话。"}
)

// problemTitles are the depository's refusals by the name of their type.
var problemTitles = map[string]phrase{
	"malformed-json":           {"The JSON is not what is asked for", "JSON 不符合要求"},
	"malformed-multipart":      {"The parts are not a record and then a document", "上传内容不是先描述后文件"},
	"malformed-batch":          {"The batch is not 1 to 10,000 lines of JSON", "批次不是 1 至 10,000 行 JSON"},
	"idempotency-key-required": {"An Idempotency-Key is required", "缺少 Idempotency-Key"},
	"truncated-upload":         {"The upload ended too early", "上传提前中断"},
	"content-digest":           {"The body changed on the way", "内容在传输途中发生变化"},
	"unauthorized":             {"A valid API key or link is required", "需要有效的 API 密钥或链接"},
	"forbidden":                {"The key's role does not allow this", "该密钥没有此项权限"},
	"not-found":                {"There is no such thing, or it is not yours", "不存在，或不属于您"},
	"not-stamped":              {"No time-stamp covers the deposit yet", "尚无时间戳覆盖该存证"},
	"not-held":                 {"The depository never received the document", "存证机构未曾收到文件"},
	"method-not-allowed":       {"The method does not exist here", "此处不支持该操作"},
	"timeout":                  {"The body came too slowly", "上传过慢"},
	"kept":                     {"The deposit must be kept", "该存证须予保存"},
	"not-held-under-matter":    {"The deposit is not held under that matter", "该存证未因此事由而保全"},
	"erased":                   {"The deposit was erased", "该存证已被删除"},
	"too-large":                {"The document is too large", "内容过大"},
	"unsupported-media-type":   {"The body is of another kind than those accepted here", "内容类型不被接受"},
	"range-not-satisfiable":    {"The range is not in the document", "所求范围不在文件之内"},
	"invalid-record":           {"The record cannot be deposited", "描述不能存证"},
	"invalid-search":           {"The search cannot be made", "无法按此查询"},
	"invalid-batch":            {"Lines of the batch cannot be deposited", "批次中有不能存证的行"},
	"invalid-verification":     {"The policy sent along is not a policy", "随附的信任策略无效"},
	"invalid-webhook":          {"The webhook cannot be made so", "无法如此设置回调通知"},
	"invalid-assurance":        {"The depository has no witnesses to give that assurance", "存证机构没有见证方，无法提供所求的保证级别"},
	"invalid-grant":            {"It cannot be opened so", "无法如此开放"},
	"invalid-account":          {"The tenant or key cannot be made so", "无法如此设立租户或密钥"},
	"not-confirmable":          {"The key cannot be confirmed so", "无法如此确认该密钥"},
	"pre-check":                {"The deposit breaks a rule of its tenant's", "该存证不符合贵方自定的规则"},
	"digest-mismatch":          {"The document is not the one that was announced", "文件与所声明的不一致"},
	"idempotency-key-reused":   {"The Idempotency-Key stands for other content", "该 Idempotency-Key 已用于其他内容"},
	"quota-exceeded":           {"Your tenant has used up its quota of the month", "贵方本月的存证配额已用完"},
	"signing":                  {"The certificate cannot be signed now", "目前无法签署证书"},
	"trail-unavailable":        {"Who asks cannot be written down, so nothing is given out", "无法留痕，故不予提供"},
	"bundle-under-way":         {"Another bundle of yours is being made", "您的另一个案卷包正在制作中"},
	"case-too-large":           {"The case has more deposits than a bundle holds", "案卷的存证次数超过一个案卷包的上限"},
	"rate-limited":             {"Too many deposits of your tenant for now", "贵方目前的存证过多"},
	"internal":                 {"Internal error of the depository", "存证机构内部错误"},
	"damaged":                  {"Stored data of the depository is damaged", "存证机构存储的数据已损坏"},
	"busy":                     {"Too many deposits are waiting", "等待中的存证过多"},
	"backlog":                  {"Too many entries wait for their seal", "等待封存的条目过多"},
	"clock":                    {"The depository does not trust its clock", "存证机构的时钟不可信"},
	"unavailable":              {"The depository's storage did not answer", "存证机构的存储没有应答"},
	"sealing-delayed":          {"The deposit is committed and waits for its seal", "存证已提交，等待封存"},
	"witness-quorum":           {"Too few witnesses cosign the log", "联署日志的见证方数量不足"},
	"second-opinion":           {"The second opinion on the log is missing", "日志的第二方核对缺失"},
	"stopping":                 {"The depository is stopping", "存证机构正在停止服务"},
	"insufficient-storage":     {"The depository has no room left", "存证机构的存储空间不足"},
}

// Depositing.
var (
	sayDeposited       = phrase{"%s  entry %d  %s  %s", "%s  条目 %d  %s  %s"}
	sayDepositedDigest = phrase{"%s  entry %d  %s  digest only  %s", "%s  条目 %d  %s  仅摘要  %s"}
	sayThere           = phrase{"%s  entry %d  %s  deposited before  %s", "%s  条目 %d  %s  此前已存证  %s"}
	saySummary         = phrase{"Files: %d. Deposited: %d, deposited before: %d, failed: %d.", "共 %d 个文件：新存证 %d 个，此前已存证 %d 个，失败 %d 个。"}
	sayUntried         = phrase{"Not tried: %d.", "未尝试：%d 个。"}
	sayStoppedMany     = phrase{"Stopped. Left: %d. Run the same command again to go on.", "已停止：还剩 %d 个。再次执行同一命令即可继续。"}
	sayMoreFailures    = phrase{"… and %d more.", "……另有 %d 项。"}

	sayTakenByFile          = phrase{"Note: %s is no receipt, and stays as it is; the new one is %s.", "注意：%s 不是回执，保持不变；新回执为 %s。"}
	sayTakenByOtherDocument = phrase{"Note: %s is the receipt of another document: the file has changed since, or the receipt belongs elsewhere. It stays as it is; the new one is %s.", "注意：%s 是另一文件的回执：文件此后已有改动，或回执属于别处。该回执保持不变；新回执为 %s。"}
	sayTakenByOtherDeposit  = phrase{"Note: %s is the receipt of another deposit of this document, and stays as it is; the new one is %s.", "注意：%s 是此文件另一次存证的回执，保持不变；新回执为 %s。"}

	sayFilesOf = phrase{"%d of %d files", "%d/%d 个文件"}
	sayLinesOf = phrase{"%d of %d lines", "%d/%d 行"}
	sayOf      = phrase{"%s of %s", "%s/%s"}
	sayLeft    = phrase{"%s left", "剩余 %s"}
	sayTenths  = phrase{"%.1f s", "%.1f 秒"}
	saySeconds = phrase{"%d s", "%d 秒"}
	sayMinutes = phrase{"%d min %d s", "%d 分 %d 秒"}
	sayHours   = phrase{"%d h %d min", "%d 小时 %d 分"}
)

var leftOutOne = map[trait]phrase{
	aReceipt: {"Note: %s is a receipt, and is left out.", "注意：%s 是回执，不予存证。"},
	hidden:   {"Note: %s is hidden, and is left out.", "注意：%s 是隐藏文件，未处理。"},
	aLink:    {"Note: %s is a symbolic link; links are not followed.", "注意：%s 是符号链接；不跟随链接。"},
	noFile:   {"Note: %s is not a file, and is left out.", "注意：%s 不是文件，未处理。"},
	ownFiles: {"Note: %s holds the receipts of a batch, and is left out.", "注意：%s 存放批量存证的回执，未处理。"},
}

var leftOutMany = map[trait]phrase{
	aReceipt: {"Note: %d receipts are left out, the first of them %s.", "注意：%d 份回执不予存证，第一份为 %s。"},
	hidden:   {"Note: %d hidden files are left out, the first of them %s.", "注意：%d 个隐藏文件未处理，第一个为 %s。"},
	aLink:    {"Note: %d symbolic links are not followed, the first of them %s.", "注意：不跟随 %d 个符号链接，第一个为 %s。"},
	noFile:   {"Note: %d things that are not files are left out, the first of them %s.", "注意：%d 个并非文件的项目未处理，第一个为 %s。"},
	ownFiles: {"Note: %d folders with the receipts of batches are left out, the first of them %s.", "注意：%d 个存放批量回执的文件夹未处理，第一个为 %s。"},
}

// typeNames are what values may be, as CSV and flags state them.
var typeNames = map[proofs.Type]phrase{
	proofs.TypeText:    {"text without U+0000", "不含 U+0000 的文本"},
	proofs.TypeInteger: {"a whole number", "整数"},
	proofs.TypeBoolean: {"true or false", "true 或 false"},
	proofs.TypeDigest:  {"a digest of 64 hex digits", "64 位十六进制摘要"},
	proofs.TypeTime:    {"a time", "时间"},
	proofs.TypeUUID:    {"an id", "编号"},
	proofs.TypeAny:     {"text or JSON without fractions and null", "文本，或不含小数与 null 的 JSON"},
}

// Batches.
var (
	saySheetTooLong  = phrase{"%s is longer than %s; split it", "%s 超过 %s；请拆分"}
	saySheetEmpty    = phrase{"%s has no lines to deposit", "%s 中没有可存证的行"}
	saySheetUTF16    = phrase{`%s is UTF-16; save it as "CSV UTF-8"`, "%s 为 UTF-16 编码；请另存为“CSV UTF-8”"}
	saySheetEncoding = phrase{`%s is neither UTF-8 nor GB18030; save it as "CSV UTF-8"`, "%s 既非 UTF-8 也非 GB18030 编码；请另存为“CSV UTF-8”"}
	saySheetGB18030  = phrase{`Note: %s is not UTF-8 and is read as GB18030. See whether that is right: the first such text in it reads "%s".`, "注意：%s 不是 UTF-8，按 GB18030 读取。请确认是否正确：其中第一处此类文字为“%s”。"}
	saySheetQuotes   = phrase{"its quotation marks do not match; nothing after it can be read", "引号不配对；其后内容无法读取"}
	saySheetGood     = phrase{"%s: all good. Lines: %d. Nothing was sent.", "%s：共 %d 行，均无误。未发送任何内容。"}
	sayTooManyLines  = phrase{"%s has more than %d lines; split it", "%s 超过 %d 行；请拆分"}
	sayColumnUnnamed = phrase{`the column has no name%s`, "该列没有名称%s"}
	sayColumnTwice   = phrase{`the column "%s" stands twice`, "列“%s”出现两次"}
	sayColumnMissing = phrase{`there is neither a column "content.sha256" nor a column "file"`, "既没有“content.sha256”列，也没有“file”列"}
	sayCellBeyond    = phrase{"the cell is beyond the last of the %d columns", "该单元格超出全部 %d 列"}
	sayCellSpace     = phrase{"the cell begins or ends with a space", "单元格首尾有空格"}
	sayCellType      = phrase{`"%s" is not %s`, "“%s”不是%s"}
	sayLineTooLong   = phrase{"the line is too long for a receipt: %s, and there is room for %s", "该行对回执而言过长：%s，上限为 %s"}
	sayNoDigest      = phrase{"the line has neither a digest nor a file", "该行既没有摘要也没有文件"}
	sayOtherDigest   = phrase{"%s has another SHA-256 than the line says: %s", "%s 的 SHA-256 与该行所写不同：%s"}
	sayLineTwice     = phrase{"the line says the same as line %d; each would be a deposit of its own", "该行与第 %d 行内容相同；每行都会成为一次存证"}
	sayLine          = phrase{"line %d", "第 %d 行"}
	sayLineColumn    = phrase{"line %d, column %d", "第 %d 行第 %d 列"}
	sayLineColName   = phrase{"line %d, column %d (%s)", "第 %d 行第 %d 列（%s）"}
	sayFlaw          = phrase{"%s: %s", "%s：%s"}
	sayNothingSent   = phrase{"nothing was sent; mistakes to mend first: %d", "未发送任何内容；须先改正的错误：%d 处"}

	sayAgainFolder    = phrase{"--again makes new deposits, and %s knows the old ones; name a new folder with --out", "--again 会另作存证，而 %s 中已有此前的回执；请用 --out 指定新文件夹"}
	sayFinishing      = phrase{"A batch was interrupted, and is finished first. Lines in it: %d.", "此前有一批中断，先予完成。该批行数：%d。"}
	sayPendingDamaged = phrase{"%s, the batch that was interrupted, is damaged: %s. Ask the depository what became of its lines (muniment list) before you remove it.", "中断的批次 %s 已损坏：%s。删除之前，请先向存证机构查明其中各行的情况（muniment list）。"}
	sayReceiptFails   = phrase{"%s", "%s"}
	sayForeignReceipt = phrase{"%s does not verify: %s. Whether its line was deposited cannot be told by it; put it aside, or give the right policy.", "%s 未通过验证：%s。无法据此判断该行是否已存证；请将其移开，或给出正确的信任策略。"}
	sayBatchLine      = phrase{"line %d: %s", "第 %d 行：%s"}
	sayBatchDone      = phrase{"Lines: %d. Deposited: %d, deposited before: %d, left: %d. Entries %d to %d.", "共 %d 行：新存证 %d 行，此前已存证 %d 行，剩余 %d 行。条目 %d 至 %d。"}
	sayBatchReceipts  = phrase{"Receipts: %s", "回执：%s"}
	sayBatchResults   = phrase{"Results:  %s", "汇总：%s"}
)

// Receipts.
var (
	sayFetched    = phrase{"%s  entry %d  %s  %s", "%s  条目 %d  %s  %s"}
	sayRefreshed  = phrase{"%s  entry %d  checkpoint of %d entries, now of %d", "%s  条目 %d  检查点原为 %d 个条目，现为 %d 个"}
	sayKept       = phrase{"%s  entry %d  kept: it bears time-stamps, and a fresh one would have none, or later ones", "%s  条目 %d  保留：其带有时间戳，而新回执没有，或其时间戳较晚"}
	sayEvidenceIs = phrase{"%s  entry %d  evidence record", "%s  条目 %d  证据记录"}
	sayNotTheSame = phrase{"the evidence record is of another checkpoint than the receipt; try again", "证据记录与回执的检查点不同；请重试"}
	sayIDHidden   = phrase{"the receipt does not show the deposit's id", "回执未披露存证编号"}
	sayOtherLog   = phrase{"the receipt is of the log %s, and the depository gives one of the log %s; it was not replaced", "回执出自日志 %s，而存证机构给出的出自日志 %s；未作替换"}
	sayOtherEntry = phrase{"the depository gives another entry for the same id: the receipt is of entry %d, that one of entry %d. Keep the receipt: it proves what the depository signed. It was not replaced", "对同一编号，存证机构给出了另一条目：回执为条目 %d，对方给出条目 %d。请保留该回执：它证明存证机构曾签署的内容。未作替换"}
	sayLogShrank  = phrase{"the receipt's checkpoint has %d entries, and the depository's newest only %d: the log may have been rolled back. The receipt was not replaced; keep it", "回执的检查点有 %d 个条目，而存证机构最新的只有 %d 个：日志可能被回退。未替换回执；请妥善保留"}
	sayForked     = phrase{"the depository's checkpoint of %d entries contradicts the one in the receipt: the log was forked. The receipt was not replaced; keep it", "存证机构含 %d 个条目的检查点与回执中的矛盾：日志已分叉。未替换回执；请妥善保留"}
)

// Lists and cases.
var (
	headEntry    = phrase{"Entry", "条目"}
	headTime     = phrase{"Time (UTC)", "时间（UTC）"}
	headContract = phrase{"Contract", "合同"}
	headNumber   = phrase{"No.", "序号"}
	headName     = phrase{"Name", "名称"}
	headDigest   = phrase{"SHA-256", "SHA-256 摘要"}
	headHas      = phrase{"Depository has", "机构持有"}
	headID       = phrase{"Id", "编号"}

	sayDocument      = phrase{"document", "文件"}
	sayDigestOnly    = phrase{"digest only", "仅摘要"}
	sayNothingFound  = phrase{"No deposits match.", "没有符合条件的存证。"}
	sayTooManyListed = phrase{"more than %d deposits match; narrow the search", "符合条件的存证超过 %d 次；请缩小查询范围"}
	sayNoCase        = phrase{"no deposits of the contract %s", "合同 %s 没有存证"}
	sayCaseWhole     = phrase{"Unbroken. Deposits: %d, numbered without a gap, each naming the one before it.", "完整：共 %d 次存证，编号连续，每次均指明前一次。"}
	sayCaseBroken    = phrase{"BROKEN:", "断裂："}

	sayNoNumber       = phrase{"entry %d has no number in the case", "条目 %d 在案卷中没有序号"}
	sayNumberTwice    = phrase{"number %d stands twice: entry %d and entry %d", "序号 %d 出现两次：条目 %d 与条目 %d"}
	sayNumberMissing  = phrase{"number %d is missing", "缺少序号 %d"}
	sayNumbersMissing = phrase{"numbers %d to %d are missing", "缺少序号 %d 至 %d"}
	sayPrevOther      = phrase{"number %d names another deposit before it than the one that is here", "序号 %d 所指明的前一次存证与现有的不同"}
	sayEndOther       = phrase{"number %d is not the one that the case is said to end with", "序号 %d 并非案卷所称的最后一次存证"}
	sayOutOfOrder     = phrase{"number %d stands before number %d in the log", "序号 %d 在日志中位于序号 %d 之前"}

	sayReceiptsWhole  = phrase{"%s (%s): whole. Receipts: %d, numbers 1 to %d.", "%s（%s）：齐全。回执 %d 份，序号 1 至 %d。"}
	sayReceiptsGapped = phrase{"%s (%s): NOT WHOLE. Receipts: %d, the last is number %d.", "%s（%s）：不齐全。回执 %d 份，最后序号为 %d。"}
	sayCaseHidden     = phrase{"the receipt hides its contract or its place in the case", "回执隐藏了合同编号或其在案卷中的位置"}
	sayCaseless       = phrase{"Receipts of no contract: %d.", "%d 份回执不属于任何合同。"}
	sayLaterUnknown   = phrase{`Whether more was deposited after the last receipt here, receipts cannot tell; "muniment case list" asks the depository.`, "最后一份回执之后是否另有存证，回执无法说明；可用“muniment case list”询问存证机构。"}
)

// The log.
var (
	headLog     = phrase{"Log", "日志"}
	headLogSize = phrase{"Log size", "日志条目总数"}
	headRoot    = phrase{"Root", "根哈希"}
	headFetched = phrase{"Fetched", "取得时间"}
	headPolicy  = phrase{"Policy fingerprint", "信任策略指纹"}
	headSaved   = phrase{"Saved as", "保存为"}

	sayTestLog         = phrase{"TEST: no evidential value. The log %s is not a production log.", "测试数据：无证据效力。日志 %s 不是正式日志。"}
	sayCheckpointFails = phrase{"the checkpoint of %s is refused: %s", "%s 的检查点不予采信：%s"}
	sayNoteThere       = phrase{"%s is there and holds something else; name a new file", "%s 已存在且内容不同；请指定新文件"}
	sayNoEntry         = phrase{"there is no entry %d: the log has %d entries, the last is number %d", "没有条目 %d：日志共 %d 个条目，最后一个编号为 %d"}
	sayEntryUnproven   = phrase{"REFUSED: the depository's entry %d is not the one under its own checkpoint of %d entries", "不予采信：存证机构给出的条目 %d 不在其自身含 %d 个条目的检查点之下"}
	sayEntryProven     = phrase{"Proved: this is entry %d of the log %s, under its checkpoint of %d entries.", "已证明：这是条目 %d，所在日志为 %s，检查点含 %d 个条目。"}
	sayTwoLogs         = phrase{"the checkpoints are of two logs, %s and %s; nothing can be compared", "两个检查点属于不同日志 %s 与 %s，无法比较"}
	sayServerBehind    = phrase{"the depository shows a log of %d entries, and %s has a signed one of %d. It may lag, or have been rolled back: ask again later, keep the file, and ask the operator if it stays so", "存证机构显示日志有 %d 个条目，而 %s 中已签名的有 %d 个。可能是滞后，也可能被回退：请稍后再试，保留该文件；若情况持续，请询问运营方"}
	sayTilesWrong      = phrase{"the tiles that the depository serves do not lead to the root of its checkpoint of %d entries; they prove nothing either way", "存证机构提供的数据块无法推导出其含 %d 个条目的检查点之根；既不能证明一致，也不能证明矛盾"}
	sayConsistent      = phrase{"Consistent: the first %d entries are unchanged in the %d entries of the log %s.", "一致：前 %d 个条目在现有 %d 个条目中未被改动，日志为 %s。"}
	sayFork            = phrase{"FORK: the log %s has signed two histories: its checkpoints of %d and of %d entries contradict each other. The proof was written to:", "分叉：日志 %s 签署了两段不同的历史：含 %d 个条目与含 %d 个条目的检查点互相矛盾。证据已写入："}
	sayForkAdvice      = phrase{"Keep these files, and show them to the depository's witnesses, auditors and regulator.", "请保留这些文件，并提交给该存证机构的见证方、审计方与监管部门。"}
)

// checkpointReasons say why a checkpoint by itself is not accepted.
var checkpointReasons = map[proofs.Reason]phrase{
	proofs.ReasonNote:         {"it is damaged, or is no checkpoint of a Muniment log", "已损坏，或并非 Muniment 日志的检查点"},
	proofs.ReasonUnknownLog:   {"it is of a log that the policy does not name", "出自信任策略未列出的日志"},
	proofs.ReasonLogSignature: {"the log's signature is missing or does not match", "日志签名缺失或不符"},
	proofs.ReasonWitness:      {"the signature of a witness does not match", "见证方的签名不符"},
	proofs.ReasonQuorum:       {"not all the witnesses have signed that the policy demands", "签名的见证方少于信任策略所要求的数量"},
	proofs.ReasonAlgorithm:    {"it needs a signature in an algorithm that this program does not have", "所需的签名使用了本程序不具备的算法"},
}

// Verifying.
var (
	headProved   = phrase{"Proved:", "已证明："}
	headOpen     = phrase{"Not proved:", "未证明："}
	headFacts    = phrase{"Facts:", "基本事实："}
	headRecord   = phrase{"The description, as fixed in the log:", "日志所固定的描述："}
	headDocument = phrase{"Document", "文件"}
	headReceipt  = phrase{"Receipt", "回执"}
	headResult   = phrase{"Result", "结果"}

	wordVerified   = phrase{"verified", "通过"}
	wordRefused    = phrase{"REFUSED", "不采信"}
	wordUndecided  = phrase{"undecided", "未决"}
	wordNoReceipt  = phrase{"no receipt", "无回执"}
	wordNoDocument = phrase{"no document", "无文件"}
	wordUnreadable = phrase{"unreadable", "无法读取"}

	sayAllVerified    = phrase{"VERIFIED. Every document is the one that its receipt is about, and every receipt holds.", "验证通过：每个文件均与其回执所指一致，每份回执均成立。"}
	saySomeRefused    = phrase{"REFUSED. Do not rely on what is marked so.", "验证不通过：请勿采信标为“不采信”的内容。"}
	sayNotAllVerified = phrase{"NOT ALL VERIFIED. What is marked verified is; the rest could not be decided.", "未全部通过：标为“通过”者已验证，其余无法判定。"}
	sayCount          = phrase{"%d %s", "%d 项%s"}
	sayComma          = phrase{", ", "，"}
	sayPlainly        = phrase{"%s", "%s"}
)

// The witness.
var (
	sayWitnessShort = phrase{"Witness the logs of others", "见证他人的日志"}
	sayWitnessLong  = phrase{
		`Run a witness: a server that looks at every new state of a depository's public log, makes
sure that nothing in it was changed or removed since the state before, and signs that. A
court, a notary's office, a regulator or another bank runs one; with the signatures of
several, no depository can show different people different histories.

The protocol is C2SP tlog-witness, for logs of any kind. A witness sees sizes and hashes,
no documents and no names.`,
		`运行见证服务：对存证机构公开日志的每个新状态，确认自上一状态以来没有任何内容被改动或删除，并就此签名。
法院、公证处、监管机构或其他银行均可运行；有了多个见证方的签名，存证机构就无法向不同的人出示不同的历史。

所用协议为 C2SP tlog-witness，适用于任何此类日志。见证方只看到数量与哈希值，看不到任何文件或姓名。`,
	}
	sayWitnessInitShort = phrase{"Make a witness's keys and folder", "生成见证方的密钥与文件夹"}
	sayWitnessInitLong  = phrase{
		`Make the folder of a new witness: its keys, readable by you alone, and an empty state.
The name is a web address without https://, by which people will know whose signature it
is; it cannot be changed later.

It has two keys, one of Ed25519, which every verifier knows, and one of ML-DSA-44, which
will still hold against quantum computers. Both sign, and count as one witness.

Keep a copy of the keys elsewhere, secret. Never bring back an old copy of the file
"state": a witness that has forgotten what it signed must not sign again under its name.

JSON: name, keys (type, vkey), policy.`,
		`建立新见证方的文件夹：仅您本人可读的密钥，以及空白的状态。
名称是不含 https:// 的网址，供人识别签名出自何方；以后不能更改。

共有两个密钥：一个为 Ed25519，所有验证程序都支持；另一个为 ML-DSA-44，可抵御量子计算机。
两者都会签名，但只算一个见证方。

请将密钥另行保密备份。切勿恢复文件“state”的旧副本：忘记了签过什么的见证方，不得再以原名称签名。

JSON 字段：name、keys（type、vkey）、policy。`,
	}
	sayWitnessKeyShort = phrase{"Print a witness's public keys, and its lines for a policy", "显示见证方的公钥及其信任策略行"}
	sayWitnessKeyLong  = phrase{
		`Print the public keys of a witness, and the lines by which a policy names it. Give them to
the depositories that are to ask it, and to those who verify. Its two keys are joined by
a group, so that they count once; the quorum, or another group, names that group. For
programs that know no ML-DSA-44, a policy has the first line alone.

JSON: name, keys (type, vkey), policy.`,
		`显示见证方的公钥，以及信任策略中指明该见证方的各行。请将其交给需要请求见证的存证机构，以及核验证据的人。
两个密钥由一个组合并，只算一个见证方；法定数量行或其他组应指明该组。
对于不支持 ML-DSA-44 的程序，信任策略中只写第一行。

JSON 字段：name、keys（type、vkey）、policy。`,
	}
	sayWitnessServeShort = phrase{"Cosign the checkpoints of logs", "为日志的检查点联署"}
	sayWitnessServeLong  = phrase{
		`Cosign the checkpoints of the logs that --log names, until SIGTERM or SIGINT. A log is
named by its vkey, or by a file: a policy, of which the log lines count, or one vkey a
line. Logs are told apart by their origin, which is the name in the vkey.

What was seen of each log is on disk before a signature leaves. A checkpoint that does
not continue the one before is refused. Two checkpoints of one size that contradict each
other prove that the log was forked: both are kept in the folder "forks".

POST /add-checkpoint is for logs; GET /HASH/checkpoint, where HASH is the SHA-256 of a
log's origin in hex, shows anyone the newest checkpoint; /healthz and /metrics are for
you. TLS ends at a proxy in front.

Exit code 0: stopped as asked. 2: it could not start. 3: it stopped itself, since going
on might have contradicted what it has signed.`,
		`为 --log 所列日志的检查点联署，直至收到 SIGTERM 或 SIGINT。
日志以其 vkey 指明，或以文件指明：文件可为信任策略（只取其中的 log 行），或每行一个 vkey。
各日志以其来源（即 vkey 中的名称）区分。

签名发出之前，所见的各日志状态已写入磁盘。不能接续前一检查点的检查点会被拒绝。
大小相同而内容矛盾的两个检查点证明日志已分叉：两者都保存在文件夹“forks”中。

POST /add-checkpoint 供日志使用；GET /HASH/checkpoint 向任何人显示最新的检查点，
其中 HASH 为日志来源的 SHA-256（十六进制）；/healthz 与 /metrics 供运行者使用。TLS 由前置代理处理。

退出码 0：按要求停止。2：未能启动。3：自行停止，因为继续运行可能与已签名的内容矛盾。`,
	}
	sayWitnessExample = phrase{
		`  muniment witness init --dir witness --name court.example/witness
  muniment witness key --dir witness --url https://witness.court.example
  muniment witness serve --dir witness --listen 127.0.0.1:7380 --log depository.policy`,
		`  muniment witness init --dir 见证 --name court.example/witness
  muniment witness key --dir 见证 --url https://witness.court.example
  muniment witness serve --dir 见证 --listen 127.0.0.1:7380 --log depository.policy`,
	}
	sayFlagWitnessDir  = phrase{"`folder` of the witness", "见证方的 `folder`"}
	sayFlagWitnessName = phrase{"`name` under which it signs, such as court.example/witness", "签名所用的 `name`，例如 court.example/witness"}
	sayFlagClassic     = phrase{"no key of ML-DSA-44", "不生成 ML-DSA-44 密钥"}
	sayFlagWitnessURL  = phrase{"`url` at which logs reach it, for the policy's lines", "日志访问该见证方的 `url`，写入信任策略行"}
	sayFlagListen      = phrase{"`address` to listen on", "监听的 `address`"}
	sayFlagWitnessLog  = phrase{"`log` to cosign for, a vkey or a file; may be repeated", "需要联署的 `log`：vkey 或文件，可重复"}

	sayWitnessNamed     = phrase{"Witness    %s", "见证方     %s"}
	sayWitnessKey       = phrase{"%s  %s", "%s  %s"}
	sayWitnessLines     = phrase{"Lines for a policy:", "信任策略行："}
	sayWitnessServes    = phrase{"%s cosigns for %d logs on http://%s", "%s 为 %d 个日志联署：http://%s"}
	sayWhichWitness     = phrase{"which witness? Give --dir FOLDER", "哪个见证方？请给出 --dir FOLDER"}
	sayWhichName        = phrase{"under which name will it sign? Give --name NAME, such as court.example/witness", "以什么名称签名？请给出 --name NAME，例如 court.example/witness"}
	sayWhichLogs        = phrase{"which logs are to be cosigned? Give --log VKEY or --log FILE", "为哪些日志联署？请给出 --log VKEY 或 --log FILE"}
	sayWitnessName      = phrase{`"%s" cannot be a witness's name: 1 to 255 bytes without spaces and "+"`, "“%s”不能作为见证方名称：应为 1 至 255 字节，且不含空格与“+”"}
	sayWitnessURL       = phrase{`"%s" is no address of a web server`, "“%s”不是网址"}
	sayWitnessDirTaken  = phrase{"%s holds something already; a new witness needs a new folder", "%s 中已有内容；新见证方需要新的文件夹"}
	sayNoWitness        = phrase{"there is no witness in %s; muniment witness init makes one", "%s 中没有见证方；可用 muniment witness init 建立"}
	sayWitnessStateLost = phrase{"%s has lost its file state, and with it what it has signed. It must not sign again under its name: make a new witness", "%s 中的 state 文件已丢失，签过的内容无从得知。不得再以原名称签名：请建立新的见证方"}
	sayWitnessState     = phrase{"%s; it must not sign again until the file is the one it wrote last", "状态文件不可用（%s）；在恢复为其最后写入的内容之前，不得再签名"}
	sayWitnessTaken     = phrase{"another process serves %s already", "已有另一进程在使用 %s"}
	sayWitnessExposed   = phrase{"others may read the private keys in %s; run chmod 600 on them", "他人可以读取 %s 中的私钥；请对其执行 chmod 600"}
	sayNoLogs           = phrase{"%s names no log: neither a log line nor a vkey stands in it", "%s 未指明任何日志：其中既没有 log 行，也没有 vkey"}
	sayNoLogKey         = phrase{"%s, line %d: no vkey of a log: %s", "%s 第 %d 行不是日志的 vkey：%s"}
	sayWitnessStopped   = phrase{"the witness stopped itself: %s", "见证方自行停止：%s"}
)
