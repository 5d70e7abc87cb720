"""What people ask for under other names: our name for it, or why there is none and what comes nearest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

# Specs of ours, by names that they have elsewhere; letters and digits only.
ALIASES: Mapping[str, tuple[str, ...]] = {
    "auditory": ("perceptual", "psychoacoustic"),
    "auditory:form=audibility": ("audibility", "jnd", "justnoticeabledifference"),
    "bss-eval": ("museval", "bss", "bssevalv4", "bssevalimages"),
    "bss-eval:output=isr": ("isr",),
    "bss-eval:output=sir": ("sir", "signaltointerferenceratio"),
    "bss-eval:output=sar": ("sar", "signaltoartifactsratio"),
    "bss-eval:target=sources,window=0": ("bssevalsources", "bssevalv3"),
    "bss-eval:output=sir,target=sources,taps=1,window=0": ("sisir",),
    "bss-eval:output=sar,target=sources,taps=1,window=0": ("sisar",),
    "cepstrum-distance": ("cd", "cepstraldistance", "cepdist"),
    "complex-stft": ("complexspectral", "cstft"),
    "composite": ("csig", "cbak", "covl", "huloizou"),
    "esr": ("errortosignalratio", "nmse"),
    "fwseg-snr": ("fwssnr", "fwsnrseg", "fwsegmentalsnr"),
    "haspi": ("haspi2", "haspiv2"),
    "hasqi": ("hasqi2", "hasqiv2"),
    "itakura-saito": ("is", "isd", "itakura"),
    "log-mel": ("mel", "melspec", "melspectrogram", "logmelspectrogram", "melloss", "mell1"),
    "lsd": ("logspectraldistance", "logspectral"),
    "lufs": ("lkfs", "ebur128", "r128", "bs1770", "integratedloudness"),
    "log-wmse": ("wmse", "logwmseaudioquality", "torchlogwmse"),
    "loudness": ("sone", "zwicker", "iso532"),
    "mae": ("l1", "l1loss", "meanabsoluteerror"),
    "mcd": ("mcd13", "melcd", "mcddtw", "melcepstraldistortion"),
    "mfcc:cepstra=linear": ("lfcc",),
    "mfcc:cepstra=bark": ("bfcc",),
    "mfcc:cepstra=gammatone": ("gfcc", "gtcc"),
    "mfcc:cepstra=human-factor": ("hfcc",),
    "mel-stft": ("melstftloss", "multiscalemel", "msmel", "mrmel"),
    "modulation-difference": ("modulation", "moddiff", "avgmoddiff"),
    "mr-stft": ("msstft", "mss", "multiscalestft", "multiresolutionstft", "multiscalespectral", "mssl", "mrstftloss"),
    "mse": ("l2", "l2loss", "meansquarederror"),
    "plp": ("perceptuallinearprediction",),
    "plp:rasta=true": ("rasta", "rastaplp", "rplp"),
    "pesq": ("p862", "p8622", "pesqwb", "wbpesq", "wpesq", "pypesq"),
    "pesq:band=narrow": ("p8621", "pesqnb", "nbpesq"),
    "peaq": ("odg", "bs1387", "peaqbasic"),
    "rmse": ("rms", "rmsd"),
    "sdr": ("cisdr", "convolutiveinvariantsdr"),
    "seg-snr": ("snrseg", "segmentalsnr", "ssnr"),
    "si-sdr": ("sisnr", "scaleinvariantsdr", "sisdri", "sisnri"),
    "snr": ("signaltonoise", "signaltonoiseratio", "snri"),
    "siib-gauss": ("siib",),
    "spectral-transport": ("ot", "wasserstein", "emd", "spectralot"),
    "stoi": ("pystoi",),
    "stoi:extended=true": ("estoi",),
    "two-f": ("2f", "2fmodel", "twofmodel"),
    "usdr": ("mdxsdr", "globalsdr", "utterancesdr", "newsdr"),
    "visqol:output=vnsim": ("nsim", "vnsim"),
    "visqol": ("visqolaudio", "visqolv3", "visqol3"),
    "visqol-speech": ("visqolvoice",),
    "dnsmos": ("dnsmosp835", "p835mos"),
    "dnsmos:output=p808": ("p808", "dnsmosp808"),
    "nisqa": ("nisqav2", "nisqamos"),
    "speaker": ("secs", "eer", "speakersimilarity", "ecapa", "resemblyzer"),
    "chroma": ("chromagram", "cens", "tonnetz"),
    "cover": ("coversong", "qmax"),
    "f0": ("pitch", "ffe"),
    "f0:output=rmse": ("f0rmse",),
    "f0:output=gpe": ("gpe",),
    "f0:output=vde": ("vuv", "vde"),
    "embedding": ("musicnn",),
}

# Names of what there is not: why, and what there is instead.
ABSENT: Mapping[str, tuple[str, ...]] = {
    "it compares pictures; for what is heard there is auditory": ("lpips", "ssim", "msssim", "vmaf", "dists", "fid"),
    "its peak is that of pictures; for sound there is snr": ("psnr",),
    "people give it; pesq and visqol-speech predict it for speech, visqol, peaq and two-f for music": (
        *("mos", "moslqo", "moslqs", "cmos", "dmos", "smos", "meanopinionscore", "mushra", "bs1534", "bs1116", "abx"),
        *("p800", "p835", "sdg", "dcr", "acr"),
    ),
    "it is licensed, and no implementation is free; for speech there are pesq and visqol-speech": (
        *("polqa", "p863", "p8632", "aqua", "tosqa"),
    ),
    "it measures a device by test tones; of two recordings snr, si-sdr and sdr tell how large the error is": (
        *("thd", "thdn", "sinad", "imd", "enob", "sfdr", "totalharmonicdistortion"),
    ),
    "it describes one recording, not a pair; lufs compares loudness": ("crestfactor", "dr", "plr", "lra", "truepeak"),
    "it finds the very same recording among many; cover tells whether two pieces are the same song": (
        *("fingerprint", "chromaprint", "acoustid"),
    ),
    "it measures what a room or a device does to sound; for speech in reverberation there is srmr": (
        *("rt60", "t60", "drr", "edt", "c50", "c80", "d50"),
    ),
    "it hears directions, which no metric here does; stoi and auditory take each ear by itself": (
        *("itd", "ild", "iacc", "binaural", "mbstoi", "dbstoi", "ambiqual"),
    ),
    "it is a trained network that is not here; for speech there are dnsmos and nisqa": (
        *("utmos", "utmosv2", "mosnet", "sqapp", "squim", "torchaudiosquim", "wvmos", "ssqa"),
        *("ssmos", "mbnet", "ldnet", "noresqamos", "qualitynet", "metricnet", "distillmos", "urgentmos"),
        *("scoreq", "noresqa", "quamos", "sigmos"),
    ),
    "it is a trained network that is not here; embedding takes one in a file of ONNX": (
        *("clap", "clapscore", "vggish", "pann", "panns", "openl3", "wav2vec", "hubert", "encodec"),
        *("speechbertscore", "perceptualloss", "deepfeatureloss", "beats", "ast", "yamnet", "crepe"),
        *("audioboxaesthetics", "audiobox", "clapsim", "mert", "speechbleu"),
    ),
    "it compares sets, not pairs: see `audiosim sets`; for pairs there are auditory and log-mel": (
        *("fad", "frechetaudiodistance", "kad", "kid", "fd", "inceptionscore", "isc", "fdopenl3"),
        *("fadinf", "fadtk", "mmd", "fsd", "frechetspeechdistance", "kldivergence"),
    ),
    "it needs a recogniser of speech; stoi, haspi and siib-gauss predict how much is understood": (
        *("wer", "cer", "wordaccuracy", "per"),
    ),
    "it needs the transfer of the room; stoi and ncm compare the recordings themselves": ("sti", "stipa", "rasti"),
    "it is not here; for speech there is hasqi": ("haaqi",),
}


def plain(name: str) -> str:
    """Letters and digits, in small letters."""
    return "".join(c for c in name.lower() if c.isalnum())


def told(name: str, ours: Iterable[str]) -> str:
    """What to say after "unknown metric NAME" where the field knows the name; else nothing."""
    asked = plain(name)
    for spec, others in [*((spec, (plain(spec),)) for spec in ours), *ALIASES.items()]:
        if asked in others:
            return f", did you mean {spec!r}?"
    return next((f": {reason}" for reason, others in ABSENT.items() if asked in others), "")
